"""``python -m benchmarks.startup``: from the command to ready, by runtime, and its parts.

Ready is what ``GET /readyz`` says: the model is loaded and warmed up, and the decoders are up.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from statistics import median

import psutil

from benchmarks.serving.systems import ROOT, START_S, free_port

STEPS = {
    "python": "pass",
    "and torch": "import torch",
    "and Transformers": "from transformers import GenerationConfig, PreTrainedConfig",
    "and the service": "import service.app, engine.captioner",
    "and OpenVINO": "import openvino",
}
"""What a program that serves imports, one after the other."""


def main() -> None:
    """Print the tables, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each, by turns (5)")
    parser.add_argument("--runtime", nargs="+", default=["torch", "openvino"], help="which ones")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        starts: dict[str, Callable[[], tuple[float, float]]] = {}
        for runtime in arguments.runtime:
            starts[runtime] = partial(start, {"AUDIODIFF_RUNTIME": runtime})
            if runtime == "openvino":
                kept = {"AUDIODIFF_RUNTIME": runtime, "AUDIODIFF_COMPILE_CACHE": cache}
                starts["openvino, compiled before"] = partial(start, kept)
                start(kept)  # fills it
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in starts}
        for _ in range(arguments.rounds):
            for name, run in starts.items():
                found[name].append(run())
    print("| runtime | start to ready, s | MiB |\n|---|---|---|")
    for name, each in found.items():
        seconds, memory = (median(column) for column in zip(*each, strict=True))
        print(f"| {name} | {seconds:.2f} | {memory:.0f} |")
    print("\n| imported | s | MiB |\n|---|---|---|")
    done: list[str] = []
    for name, step in STEPS.items():
        done.append(step)
        taken = [imported("; ".join(done)) for _ in range(arguments.rounds)]
        seconds, memory = (median(column) for column in zip(*taken, strict=True))
        print(f"| {name} | {seconds:.2f} | {memory:.0f} |")


def start(settings: dict[str, str]) -> tuple[float, float]:
    """Seconds until it is ready, and the MiB that it and its decoders hold then."""
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", f"--port={port}", "--log-level=error"],
        cwd=ROOT,
        env=os.environ | settings,
    )
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() > began + START_S:
                raise SystemExit("the service does not become ready")
            time.sleep(0.01)
        taken = time.perf_counter() - began
        tree = psutil.Process(process.pid)
        every = [tree, *tree.children(recursive=True)]
        return taken, sum(each.memory_info().rss for each in every) / 2**20
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def is_ready(port: int) -> bool:
    """Whether ``GET /readyz`` says so."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with suppress(OSError):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    connection.close()
    return False


def imported(program: str) -> tuple[float, float]:
    """Seconds and MiB of a process that does no more than ``program``."""
    told = f"import psutil; {program}\nprint(psutil.Process().memory_info().rss)"
    began = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - began, int(run.stdout.split()[-1]) / 2**20


if __name__ == "__main__":
    main()
