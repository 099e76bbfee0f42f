"""What is listened to: files, pipes, and URLs that break."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cli import sources
from cli.sources import Piece, Source, pieces, source
from model.errors import AudioError, OptionsError
from tests.support.audio import by_soundfile
from tests.support.file_server import serving
from tests.support.process import ROOT
from tests.support.rtsp import camera

RATE = 8000


def tone(seconds: float) -> np.ndarray:
    """[S] at ``RATE``."""
    return (0.5 * np.sin(np.arange(round(seconds * RATE)))).astype(np.float32)


def wav(seconds: float) -> bytes:
    return by_soundfile(tone(seconds), RATE, "WAV")


def collect(where: Source, most: float = np.inf) -> tuple[list[Piece | None], list[str]]:
    """What comes until the end, or until ``most`` seconds came; and what broke."""
    faults: list[str] = []

    async def body() -> list[Piece | None]:
        found: list[Piece | None] = []
        seconds = 0.0
        async for piece in pieces(where, faults.append, (0.01,)):
            found.append(piece)
            seconds += len(piece.samples) / piece.rate if piece else 0.0
            if seconds >= most:
                break
        return found

    return asyncio.run(asyncio.wait_for(body(), 60)), faults


def samples(found: list[Piece | None]) -> np.ndarray:
    """[S], of one channel."""
    return np.concatenate([piece.samples[:, 0] for piece in found if piece])


def test_a_file_is_read_whole_and_has_its_own_time(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(3))
    began = time.time()
    found, faults = collect(source(str(tmp_path / "a.wav"), None, 1, fast=True))
    assert np.abs(samples(found) - tone(3)).max() < 1e-4
    assert faults == []
    last = found[-1]
    assert last is not None
    assert last.at - began > 2.9
    assert last.rate == RATE


def test_a_file_is_no_faster_than_its_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(3))
    waits: list[float] = []

    class Event(sources.threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return False

    monkeypatch.setattr(sources.threading, "Event", Event)
    found, _ = collect(source(str(tmp_path / "a.wav"), None, 1, fast=False))
    assert len(samples(found)) == 3 * RATE
    assert max(waits) > 2.5, "the clock here does not go on while it waits"


def test_a_name_with_a_colon_is_still_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("concat:a.wav").write_bytes(wav(1))
    found, _ = collect(source("concat:a.wav", None, 1, fast=True))
    assert len(samples(found)) == RATE


def test_what_is_no_sound_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound at all")
    with pytest.raises(AudioError, match=r"a\.wav: "):
        collect(source(str(tmp_path / "a.wav"), None, 1, fast=True))


def test_a_url_that_ends_or_breaks_is_opened_again() -> None:
    with serving() as server:
        server.files["/a.wav"] = wav(2)
        server.cuts = [RATE]
        where = source(f"{server.url}/a.wav", None, 1, fast=False)
        found, faults = collect(where, most=4)
    assert found.count(None) >= 2
    assert len(faults) >= 2
    assert len(server.paths) >= 3


def test_a_url_that_is_not_there_yet_is_tried_until_it_is() -> None:
    with serving() as server:
        server.files["/a.wav"] = wav(2)
        server.statuses = [503, 404, 500]
        found, faults = collect(source(f"{server.url}/a.wav", None, 1, fast=False), most=1)
    assert None not in found, "nothing was heard before"
    assert ["Server returned" in fault for fault in faults[:3]] == [True] * 3


def test_a_camera_is_heard_and_opened_again() -> None:
    with camera(tone(2), RATE) as server:
        where = source(server.url, None, 1, fast=False)
        found, faults = collect(where, most=3)
        heard = samples(found)
        assert np.abs(heard[: 2 * RATE] - tone(2)).max() < 1e-3
        assert np.abs(heard[2 * RATE : 3 * RATE] - tone(1)).max() < 1e-3
        assert None in found, "it ended in between"
        assert server.played >= 2
    assert "secret" not in "".join(faults)


def test_the_password_of_a_url_is_not_told() -> None:
    where = source("rtsp://me:secret@camera.test/1", None, 1, fast=False)
    assert where.name == "rtsp://camera.test/1"
    assert where.url == "rtsp://me:secret@camera.test/1"
    assert where.lasting


@pytest.mark.parametrize("raw", [False, True])
def test_a_pipe_is_a_file_or_raw_samples(raw: bool) -> None:
    both = np.stack([tone(2), -tone(2)], axis=1)
    data = (both * 2**15).astype("<i2").tobytes() if raw else by_soundfile(both, RATE, "WAV")
    program = (
        "from cli.sources import source; import numpy as np;"
        f"blocks = [*source('-', {RATE if raw else None}, 2, fast=False).read()];"
        "samples = np.concatenate([block for _, block in blocks]);"
        "print({rate for rate, _ in blocks}, samples.shape, abs(samples.sum(axis=1)).max() < 1e-3,"
        " samples[1:9, 0].std() > 0.1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=data,
        capture_output=True,
        timeout=120,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.decode().split("\n")[0] == f"{{{RATE}}} ({2 * RATE}, 2) True True"


@pytest.mark.parametrize(
    ("argument", "rate", "says"),
    [
        ("nowhere.wav", None, "no file nowhere.wav"),
        ("a.wav", 16_000, "standard input"),
    ],
)
def test_what_cannot_be_meant_is_refused(argument: str, rate: int | None, says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        source(argument, rate, 1, fast=False)


def test_a_microphone_is_a_device_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.sys, "platform", "linux")
    where = source("mic", None, 1, fast=False)
    assert (where.kind, where.url, where.lasting) == ("alsa", "default", True)
    monkeypatch.setattr(sources.sys, "platform", "win32")
    with pytest.raises(OptionsError, match="dshow"):
        source("mic", None, 1, fast=False)
