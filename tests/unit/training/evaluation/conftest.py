"""A small ESC-50, a small ``sounds.csv``, and a service that answers as it is told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.answering import answering
from training.evaluation.material import REAL_RATE, Material
from training.evaluation.row import Case

Reply = tuple[int, dict[str, str], dict[str, object]]
Served = Callable[[Callable[[str, bytes], Reply]], "contextmanager[str]"]

ESC50 = [(f"5-{kind}-{take}.wav", kind) for kind in ("dog", "cat", "siren") for take in range(2)]
REAL = [
    ("man-0.wav", "Male speech, man speaking;Speech", 2.5, "Speech 0.86; Clicking 0.49; Tick 0.1"),
    ("man-1.wav", "Male speech, man speaking;Speech", 3.0, "Narration, monologue 0.30"),
    ("rain.wav", "Rain;Water", 2.5, "Rain 0.9"),
    ("horn.wav", "Vehicle horn, car horn, honking", 0.5, ""),
]
"""File, labels, seconds, the teacher's opinions."""


def burst(name: str, rate: int, seconds: float) -> np.ndarray:
    """Soft noise of its own: a mixture of two does not clip."""
    rng = np.random.default_rng([*name.encode()])
    return rng.uniform(-0.1, 0.1, int(rate * seconds)).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "esc50" / "meta").mkdir(parents=True)
    (tmp_path / "esc50" / "audio").mkdir()
    with (tmp_path / "esc50" / "meta" / "esc50.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "category", "esc10"])
        for name, kind in ESC50:
            table.writerow([name, 5, kind, kind == "dog"])
            samples = burst(name, 16_000, 1)
            soundfile.write(tmp_path / "esc50" / "audio" / name, samples, 16_000, "PCM_16")
    (tmp_path / "sounds").mkdir()
    with (tmp_path / "sounds" / "sounds.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels", "split", "teacher_top"])
        table.writerow(["trained-on.wav", "Music", "train", ""])
        for name, labels, seconds, opinions in REAL:
            table.writerow([name, labels, "validation", opinions])
            samples = burst(name, REAL_RATE, seconds)
            soundfile.write(tmp_path / "sounds" / name, samples, REAL_RATE, "PCM_16")
    return tmp_path


@pytest.fixture
def make_material(data: Path) -> Callable[[int], Material]:
    def make(seed: int = 0) -> Material:
        return Material(
            esc50=data / "esc50",
            folds=(5,),
            sounds=data / "sounds",
            teacher=data / "teacher.pt",
            seed=seed,
        )

    return make


@pytest.fixture
def material(make_material: Callable[..., Material]) -> Material:
    return make_material()


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """One that sends these files."""

    def make(*files: dict[str, bytes], wanted: str = "Dog", unwanted: str = "Rain") -> Case:
        return Case("a", lambda: files, ((wanted,),), ((unwanted,),))

    return make


@pytest.fixture
def served() -> Served:
    """A service that answers as ``reply(path, body)`` says: (status, headers, JSON)."""
    return _served


@contextmanager
def _served(reply: Callable[[str, bytes], Reply]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(*reply(self.path, body))

        def do_GET(self) -> None:
            self.answer(*reply(self.path, b""))

        def answer(self, status: int, headers: dict[str, str], content: object) -> None:
            payload = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
