"""The command line as a process, which asks a service in another; see ``tests.support``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.captioner import POISON, clip
from tests.support.client import WAIT_S, eventually
from tests.support.process import ROOT, Process, serving


@pytest.fixture(scope="module")
def shared() -> Iterator[Process]:
    """A service for tests that leave it as it was."""
    with serving() as process:
        yield process


@contextmanager
def started(process: Process, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``audiodiff`` with the service's URL."""
    command = [sys.executable, "-m", "cli", *arguments, "--url", str(process.http.base_url)]
    pipe = subprocess.PIPE
    # Buffered, as most people have it: what is left in the buffer must do no harm at the end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=pipe,
        stderr=pipe,
        text=True,
        # Whoever runs the tests in the background may have Ctrl-C ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def clips(folder: Path, numbers: range | list[int]) -> list[str]:
    """A file for each number, in their order by name."""
    paths = [folder / f"{index:03}.wav" for index in range(len(numbers))]
    for path, number in zip(paths, numbers, strict=True):
        path.write_bytes(clip(number))
    return [str(path) for path in paths]


def test_a_folder_is_answered_in_order_as_the_api_answers(shared: Process, tmp_path: Path) -> None:
    numbers = [*range(100, 120), POISON, *range(120, 140)]
    paths = clips(tmp_path, numbers)
    with started(shared, "caption", str(tmp_path), "--json", "--num-captions", "2") as child:
        out, err = child.communicate(timeout=WAIT_S)
    assert child.returncode == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines] == paths
    for line, number in zip(lines, numbers, strict=True):
        if number == POISON:
            assert set(line) == {"path", "error"}
            assert err == f"{line['path']}: {line['error']}\n"
        else:
            answer = shared.caption(clip(number), num_captions=2).json()
            del answer["id"], answer["timing_ms"]
            assert line == {"path": line["path"], **answer}


def test_differences_on_standard_output(shared: Process, tmp_path: Path) -> None:
    *inputs, reference = clips(tmp_path, [200, 201, 202])
    with started(shared, "difference", *inputs, reference, "--both") as child:
        out, err = child.communicate(timeout=WAIT_S)
    assert (child.returncode, err) == (0, "")
    assert out.splitlines() == [
        f"{inputs[0]}: sound 200 without 202",
        f"{reference}: sound 202 without 200",
        f"{inputs[1]}: sound 201 without 202",
        f"{reference}: sound 202 without 201",
    ]


def test_a_full_service_is_asked_again(tmp_path: Path) -> None:
    paths = clips(tmp_path, [300, 301])
    with serving(max_queue=1, api_keys="key") as process:
        process.http.headers["X-API-Key"] = "key"
        with ExitStack() as stack:
            with process.occupied():
                child = stack.enter_context(started(process, "caption", *paths, "--api-key", "key"))
                eventually(lambda: process.metric("rejections_total", reason="queue-full") >= 2)
            out, err = child.communicate(timeout=WAIT_S)
    assert (child.returncode, err) == (0, "")
    assert out.splitlines() == [f"{paths[0]}: sound 300", f"{paths[1]}: sound 301"]


def test_ctrl_c(shared: Process, tmp_path: Path) -> None:
    clips(tmp_path, range(400, 420))
    before = len(shared.tell("shut")["encoded"])
    try:
        with started(shared, "caption", str(tmp_path)) as child:
            eventually(lambda: len(shared.tell()["encoded"]) > before)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=WAIT_S)
    finally:
        shared.tell("open")
    assert (child.returncode, out, err) == (130, "", "")


def test_a_broken_pipe(shared: Process, tmp_path: Path) -> None:
    [first, *_] = clips(tmp_path, range(500, 800))
    with started(shared, "caption", str(tmp_path)) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == f"{first}: sound 500\n"
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(WAIT_S) == 141
