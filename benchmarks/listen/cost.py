"""What a window of a stream costs the model: to encode it, to compare it, to tell of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from engine.captioner import Captioner
from engine.stream import HOP_S, WINDOW_S
from model.types import Encoded, SourceInfo, Waveform

BACKGROUNDS_S = (120, 600, 1800)
TIMES = 10


async def report(model: Path) -> AsyncIterator[str]:
    """A row for each of the three; of all threads, so that it does not mind what else runs."""
    captioner = Captioner.from_dir(model, "cpu")
    captioner.warm_up()
    rng = np.random.default_rng(0)

    def noise(seconds: float) -> Waveform:
        size = round(seconds * captioner.sample_rate)
        samples = torch.from_numpy(rng.standard_normal(size).astype(np.float32) / 10)
        return Waveform(samples, captioner.sample_rate, SourceInfo(seconds, size, 1, "noise"))

    window = noise(WINDOW_S)
    [clip] = captioner.encode([window])
    [piece] = captioner.encode([noise(HOP_S)])
    yield f"A window of {WINDOW_S:g} s comes every {HOP_S:g} s; medians of {TIMES}."
    yield ""
    yield "| | processor's ms |"
    yield "|---|---|"
    yield f"| to encode it | {_ms(lambda: captioner.encode([window])):.0f} |"
    for seconds in BACKGROUNDS_S:
        frames = piece.frames.repeat(1, round(seconds / HOP_S), 1)
        pair = (clip, Encoded.of(frames[0]))
        ms = _ms(lambda pair=pair: captioner.left([pair]))
        yield f"| to compare it with a background of {seconds} s | {ms:.0f} |"
    ms = _ms(lambda: captioner.describe([pair]))
    yield f"| to compare it with the last, and a sentence | {ms:.0f} |"


def _ms(call: Callable[[], object]) -> float:
    """Milliseconds of the processor for a call, the first of which does not count."""
    call()
    taken = []
    for _ in range(TIMES):
        began = time.process_time()
        call()
        taken.append(time.process_time() - began)
    return 1e3 * median(taken)
