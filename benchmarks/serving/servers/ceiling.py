"""No server at all: the captioner called in-process, on ideal batches or one request at a time.

Prints one line of JSON: requests a second on batches, and the median milliseconds of a request
alone.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median

from benchmarks.serving.clips import Request, requests
from benchmarks.serving.servers.shared import MAX_BATCH, describe, load
from model.types import Waveform

WINDOW = 4 * MAX_BATCH
"""Requests from which batches of similar length are made."""


def batched(seconds: float) -> float:
    """Requests a second; the next window is decoded while one is captioned."""
    captioner = load()
    stream = requests()

    def decoded() -> list[tuple[Waveform, ...]]:
        window = [
            tuple(captioner.prepare(data) for _, data in request.files)
            for request in islice(stream, WINDOW)
        ]
        return sorted(window, key=lambda clips: max(clip.duration_s for clip in clips))

    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(decoded)
        window = ahead.result()
        began = time.perf_counter()
        done = 0
        while time.perf_counter() - began < seconds:
            ahead = pool.submit(decoded)
            for start in range(0, WINDOW, MAX_BATCH // 2):
                done += len(describe(captioner, window[start : start + MAX_BATCH // 2]))
            window = ahead.result()
        return done / (time.perf_counter() - began)


def alone(seconds: float) -> float:
    """Median milliseconds from bytes to caption."""
    captioner = load()
    stream: Iterator[Request] = requests()
    taken = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        request = next(stream)
        start = time.perf_counter()
        describe(captioner, [tuple(captioner.prepare(data) for _, data in request.files)])
        taken.append(time.perf_counter() - start)
    return median(taken) * 1000


if __name__ == "__main__":
    length = float(sys.argv[1])
    print(json.dumps({"per_s": batched(length), "alone_ms": alone(length / 2)}))
