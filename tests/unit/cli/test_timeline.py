"""``audiodiff timeline`` by the model here, and by a service."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import srt
import webvtt

from cli import main as audiodiff
from engine.captioner import Captioner
from tests.support.audio import by_soundfile
from tests.support.threaded import in_thread
from tests.support.tones import RATE, Placed, ToneCaptioner, recording

DOG: Placed = ("Dog", 1.28, 5.12)
RAIN: Placed = ("Rain", 64.0, 72.96)
SUMMARY = "Heard in 1 min 20 s: rain (9 s) and dog (4 s)."
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIODIFF_API_KEY", raising=False)
    monkeypatch.setattr(Captioner, "from_dir", lambda *_: ToneCaptioner())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with in_thread(ToneCaptioner()) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """One with both sounds, one of silence."""
    paths = [tmp_path / "both.wav", tmp_path / "none.wav"]
    for path, placed in zip(paths, ((DOG, RAIN), ()), strict=True):
        path.write_bytes(by_soundfile(recording(80.0, *placed), RATE))
    return [str(path) for path in paths]


@pytest.fixture(params=["here", "by a service"])
def place(request: pytest.FixtureRequest, url: str) -> list[str]:
    """The options that say who listens."""
    return [] if request.param == "here" else ["--url", url]


def test_lines(files: list[str], place: list[str], capsys: Capture) -> None:
    assert audiodiff.main(["timeline", *files, *place]) == 0
    out, err = capsys.readouterr()
    both, none = files
    assert out.splitlines() == [
        f"{both}: 0:00:01.3-0:00:05.1 a dog is heard",
        f"{both}: 0:01:04.0-0:01:13.0 a rain is heard",
        f"{both}: {SUMMARY}",
        f"{none}: Nothing is heard in 1 min 20 s.",
    ]
    assert err == ""


def test_json(files: list[str], place: list[str], capsys: Capture) -> None:
    assert audiodiff.main(["timeline", *files, "--format", "json", *place]) == 0
    both, none = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(both) == {"path", "entries", "audio", "model", "summary"}
    assert (both["path"], none["path"]) == tuple(files)
    assert [entry["sounds"][0]["label"] for entry in both["entries"]] == ["Dog", "Rain"]
    assert none["entries"] == []


def test_subtitles(files: list[str], place: list[str], capsys: Capture, tmp_path: Path) -> None:
    options = ["--sentence-case", *place]
    assert audiodiff.main(["timeline", files[0], "--format", "vtt", *options]) == 0
    found = webvtt.from_string(capsys.readouterr().out)
    assert [one.text for one in found] == ["[Dog heard]", "[Rain heard]"]
    folder = tmp_path / "subtitles"
    wanted = ["--format", "srt", "--output", str(folder), *options]
    assert audiodiff.main(["timeline", *files, *wanted]) == 0
    written = [folder / "both.srt", folder / "none.srt"]
    assert capsys.readouterr().out.splitlines() == [*map(str, written)]
    assert [one.content for one in srt.parse(written[0].read_text())] == [
        "[Dog heard]",
        "[Rain heard]",
    ]
    assert written[1].read_text() == ""


def test_what_fails_and_what_is_missing(
    files: list[str], place: list[str], capsys: Capture, tmp_path: Path
) -> None:
    cut, text = tmp_path / "cut.wav", tmp_path / "text.wav"
    cut.write_bytes(Path(files[0]).read_bytes()[: RATE * 2 * 40])
    text.write_text("no sound")
    assert audiodiff.main(["timeline", str(text), str(cut), "absent.wav", *place]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"{cut}: Heard in 40 s: dog (4 s)."
    lines = err.splitlines()
    assert lines[0].startswith(f"{text}: This is not an audio file")
    assert lines[1] == f"{cut}: The file ends at 40 s of 80 s: the rest is not heard."
    assert lines[2] == "absent.wav: No such file or directory"


def test_standard_input(
    files: list[str], place: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(Path(files[0]).read_bytes()))
    monkeypatch.setattr(sys, "stdin", given)
    assert audiodiff.main(["timeline", "-", *place]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"-: {SUMMARY}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.wav", "b.wav", "--format", "vtt"], "give --output too"),
        (["a.wav", "--output", "out"], "--output: choose --format"),
        (["-", "-"], "give - once"),
        (["a.wav", "--max-timeline-seconds", "9", "--url", "http://x"], "the service decides"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        audiodiff.main(["timeline", *arguments])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_a_difference_of_long_recordings(
    files: list[str], place: list[str], capsys: Capture
) -> None:
    assert audiodiff.main(["difference", *files, *place]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{files[0]}: 0:00:01.3-0:00:05.1 a dog is heard",
        f"{files[0]}: 0:01:04.0-0:01:13.0 a rain is heard",
    ]
    assert audiodiff.main(["difference", *reversed(files), "--json", *place]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["reference_path"]) == (files[1], files[0])
    assert told["only"]["input"] == []
    assert len(told["only"]["reference"]) == 2
