"""``python -m benchmarks.corpus.captioner LIST``: one captioner, called in-process.

Batches are ideal: the next window is decoded, by this process, while one is captioned, and clips of
one length go together. It says that it is ready, waits for a line, does the files that ``LIST``
names, one a line, and prints how many it did a second in the median window, and the seconds of the
processor that each took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median

import torch

from benchmarks.serving.servers.shared import CHECKPOINT, MAX_BATCH
from engine.captioner import Captioner
from model.errors import AudioError
from model.types import Waveform

WINDOW = 4 * MAX_BATCH
"""Clips from which batches of similar length are made."""


def main() -> None:
    """Do the files, once told to."""
    paths = Path(sys.argv[1]).read_text().splitlines()
    torch.set_num_threads(1)
    captioner = Captioner.from_dir(CHECKPOINT)
    captioner.warm_up()
    print("ready", flush=True)
    sys.stdin.readline()
    cpu_s = time.process_time()
    rates = []
    began = time.perf_counter()
    for window in _decoded(captioner, paths):
        for start in range(0, len(window), MAX_BATCH):
            captioner.caption(window[start : start + MAX_BATCH])
        began, before = time.perf_counter(), began
        rates.append(len(window) / (began - before))
    cpu_s = time.process_time() - cpu_s
    print(json.dumps({"per_s": median(rates), "cpu_s": cpu_s / len(paths)}), flush=True)


def _decoded(captioner: Captioner, paths: list[str]) -> Iterator[list[Waveform]]:
    """Windows by length, one ahead; what cannot be decoded is left out."""

    def decode(window: list[str]) -> list[Waveform]:
        clips = []
        for path in window:
            with suppress(AudioError):
                clips.append(captioner.prepare(Path(path).read_bytes()))
        return sorted(clips, key=lambda clip: clip.duration_s)

    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        ahead = None
        for start in range(0, len(paths), WINDOW):
            following = pool.submit(decode, paths[start : start + WINDOW])
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()


if __name__ == "__main__":
    main()
