"""``audiodiff listen`` from its arguments to its lines, over a captioner that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from cli import commands
from cli import main as audiodiff
from tests.support.answering import answering
from tests.support.audio import by_soundfile
from tests.support.captioner import RATE, StreamCaptioner

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def captioner(monkeypatch: pytest.MonkeyPatch) -> StreamCaptioner:
    """The model of every command."""
    captioner = StreamCaptioner()
    monkeypatch.setattr(commands, "_load", lambda _: captioner)
    return captioner


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """20 s of silence, 3 s of something, and silence again."""
    values = np.repeat([0.0, 0.5, 0.0], [20 * RATE, 3 * RATE, 10 * RATE])
    path = tmp_path / "a.wav"
    path.write_bytes(by_soundfile(values, RATE))
    return str(path)


@pytest.fixture
def webhook() -> Iterator[list[bytes]]:
    """What a receiver got; its address is the first."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        got.append(f"http://127.0.0.1:{server.server_port}/".encode())
        yield got


@pytest.mark.usefixtures("captioner")
def test_an_event_is_a_line_of_json(recording: str, capsys: Capture) -> None:
    assert audiodiff.main(["listen", recording, "--fast"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert [*event] == [
        "id", "time", "start_s", "caption", "score", "novelty", "sounds", "source",
    ]  # fmt: skip
    assert event["start_s"] == pytest.approx(20, abs=0.5)
    assert event["caption"] == "sound 0.5 begins"
    assert event["source"] == recording


@pytest.mark.usefixtures("captioner")
def test_lines_are_added_to_a_file(recording: str, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "events.jsonl"
    for _ in range(2):
        assert audiodiff.main(["listen", recording, "--fast", "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("captioner")
def test_events_are_posted_and_those_that_cannot_be_wait_for_the_next_time(
    recording: str, tmp_path: Path, webhook: list[bytes], capsys: Capture
) -> None:
    outbox = str(tmp_path / "outbox")
    url = webhook.pop().decode()
    arguments = ["listen", recording, "--fast", "--outbox", outbox, "--post"]
    assert audiodiff.main([*arguments, "http://127.0.0.1:1/"]) == 1
    output = capsys.readouterr()
    assert "1 events wait in the outbox" in output.err
    assert audiodiff.main([*arguments, url]) == 0
    printed = [*output.out.splitlines(), *capsys.readouterr().out.splitlines()]
    assert [body.decode() for body in webhook] == printed
    assert len(printed) == 2


def test_a_model_that_dies_ends_it(
    captioner: StreamCaptioner,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(_: object) -> None:
        raise torch.AcceleratorError("the device is gone")

    monkeypatch.setattr(captioner, "encode", die)
    path = tmp_path / "a.wav"
    path.write_bytes(by_soundfile(np.zeros(20 * RATE), RATE))
    assert audiodiff.main(["listen", str(path), "--fast"]) == 1
    assert "audiodiff: the model thread died" in capsys.readouterr().err


@pytest.mark.usefixtures("captioner")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.wav"], "no file"),
        (["--background", "1"], "15 to 1800"),
        (["--post", "x"], "--post"),
        (["--rate", "16000"], "standard input"),
    ],
)
def test_wrong_usage_is_told(
    recording: str, arguments: list[str], says: str, capsys: Capture, tmp_path: Path
) -> None:
    source = [] if arguments[0] == "nowhere.wav" else [recording]
    outbox = ["--outbox", str(tmp_path / "outbox")]
    with pytest.raises(SystemExit) as exit_:
        audiodiff.main(["listen", *source, *arguments, *outbox])
    assert exit_.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("captioner")
def test_what_is_no_sound_fails(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.wav").write_text("nothing to hear")
    assert audiodiff.main(["listen", str(tmp_path / "a.wav")]) == 1
    assert "a.wav: " in capsys.readouterr().err
