"""``python -m benchmarks.timeline``: what timelines of long recordings are worth, and take.

A service of this checkout hears recordings made of known sounds at known times: how many of them it
finds, how fast, in how much memory, and what short requests beside it notice.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import soundfile

from benchmarks.timeline.material import RATE, Place, esc50, f1, made, write
from training.scenes.synthetic import SOUNDS, synthesize

MIB = 2**20
PATIENCE_S = 1200.0
CLIPS = 40
"""That short requests are made of; the service keeps nothing of them."""


def main() -> None:
    """Print the figures, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timeline", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120, help="of the long recording (120)")
    parser.add_argument("--esc50", type=Path, help="ESC-50's folder; without it: made sounds alone")
    parser.add_argument("--turns", type=int, default=4, help="of short requests (4)")
    parser.add_argument("--seconds", type=float, default=15, help="of each turn (15)")
    parser.add_argument("--clients", type=int, default=4, help="that send short requests (4)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, service() as (child, client):
        minute, whole = Path(folder, "minute.wav"), Path(folder, "whole.wav")
        write(minute, 60, made(rng), rng)
        listen(client, minute)  # the first pays for what is loaded then
        with weighed(child) as short_mib:
            listen(client, minute)
        sources = {"made in code": made(rng)}
        if arguments.esc50:
            sources["ESC-50, fold 5"] = esc50(arguments.esc50, rng)
        print("| sounds | recording | of | event F1 (1 s) | times real time | memory, MiB |")
        print("|---|---|---|---|---|---|")
        for name, sounds in sources.items():
            places = write(whole, 60 * arguments.minutes, sounds, rng)
            with weighed(child) as mib:
                found, took_s = listen(client, whole)
            print(
                f"| {name} | {arguments.minutes:g} min | {len(places)} sounds "
                f"| {f1(found, places):.3f} | {60 * arguments.minutes / took_s:.0f} "
                f"| {max(mib):.0f}, of 1 min {max(short_mib):.0f} |",
                flush=True,
            )
        alone, beside = short_requests(client, whole, rng, arguments)
        ratio = percentile(beside) / percentile(alone)
        print(
            f"\np95 of captions of 5 s, {arguments.clients} clients: {percentile(alone):.3f} s "
            f"alone ({len(alone)} requests), {percentile(beside):.3f} s beside a timeline "
            f"({len(beside)}): {ratio:.2f} times."
        )


@contextmanager
def service() -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """This checkout's, with the bundled checkpoint, once it is ready."""
    child = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", "--port", "0", "--cache-mb", "0"],
        env={**os.environ, "AUDIODIFF_LOG_FORMAT": "console"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert child.stderr
    address = None
    for line in child.stderr:
        if found := re.search(r"running on (http://\S+)", line):
            address = found[1]
            break
    threading.Thread(target=child.stderr.read, daemon=True).start()
    try:
        with httpx.Client(base_url=address or "", timeout=PATIENCE_S) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.1)
            yield psutil.Process(child.pid), client
    finally:
        child.terminate()
        child.wait()


def lines(client: httpx.Client, path: Path) -> Iterator[dict[str, Any]]:
    """A timeline as it comes."""
    with (
        path.open("rb") as file,
        client.stream(
            "POST",
            "/timeline",
            files={"file": file},
            headers={"Accept": "application/x-ndjson"},
        ) as response,
    ):
        yield from map(json.loads, response.iter_lines())


def listen(client: httpx.Client, path: Path) -> tuple[list[Place], float]:
    """The places of its entries, and the seconds that it took, the sending included."""
    began = time.perf_counter()
    told = [*lines(client, path)]
    assert "summary" in told[-1], told[-1]
    places = [(one["start_s"], one["end_s"]) for one in told if "caption" in one]
    return places, time.perf_counter() - began


@contextmanager
def weighed(process: psutil.Process, every_s: float = 0.2) -> Iterator[list[float]]:
    """MiB that it and its children have in memory, over and over while the block runs.

    Pages of files do not count: the kernel takes them back when it likes.
    """
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(every_s):
            total = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    memory = one.memory_info()
                except psutil.NoSuchProcess:
                    continue
                total += memory.rss - memory.shared
            seen.append(total / MIB)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def short_requests(
    client: httpx.Client, whole: Path, rng: np.random.Generator, arguments: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Seconds of captions, alone and beside a timeline, by turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * arguments.turns):
        clips = [clip(rng) for _ in range(CLIPS)]
        with busy(client, whole) if turn % 2 else nullcontext():
            taken[turn % 2].extend(load(client, clips, arguments.clients, arguments.seconds))
    return taken


def clip(rng: np.random.Generator) -> bytes:
    """A sound of 5 s, as WAV."""
    file = io.BytesIO()
    name = str(rng.choice(sorted(SOUNDS)))
    soundfile.write(file, synthesize(name, rng, RATE, 5.0), RATE, format="WAV")
    return file.getvalue()


@contextmanager
def busy(client: httpx.Client, path: Path) -> Iterator[None]:
    """A timeline is worked on while the block runs."""
    begun, done = threading.Event(), threading.Event()

    def hear() -> None:
        while not done.is_set():
            for _ in lines(client, path):
                begun.set()
                if done.is_set():
                    break

    thread = threading.Thread(target=hear)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def load(client: httpx.Client, clips: list[bytes], clients: int, seconds: float) -> list[float]:
    """Seconds of each caption, of so many clients that ask one after the other."""
    end = time.perf_counter() + seconds
    turns = itertools.cycle(clips)
    taken: list[float] = []

    def ask() -> None:
        while (began := time.perf_counter()) < end:
            client.post("/caption", files={"file": next(turns)}).raise_for_status()
            taken.append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def percentile(values: list[float], share: float = 0.95) -> float:
    """The value below which so many lie."""
    return float(np.quantile(values, share))


if __name__ == "__main__":
    main()
