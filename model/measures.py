"""What can be measured in a clip as a whole and be said of it: level, spectral centre, onsets.

Shapes: S samples, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Samples = NDArray[np.float32]

FRAME_S = 0.02
RISE_DB, PAUSE_S = 9.0, 0.15
"""An onset is so much over the mean level of the time before it, of which none began in it."""
BELOW_DB = 30.0
"""What is so far below the loudest frame sets in unheard."""
SILENT_DB, MIDDLE_DB, STEP_DB = -80.0, -50.0, 10.0
"""Softer is silence; what is 0 on a network's scale, and what is one more."""
LOWEST_HZ = 50.0
COUNT = 4


@dataclass(frozen=True)
class Measures:
    """Of one clip."""

    level_db: float
    """Root mean square, of full scale."""
    centre_octaves: float
    """Where the middle of the spectrum's power is, in octaves over 1 Hz."""
    seconds: float
    onsets: float
    """Sudden rises of level, per second."""

    @property
    def scaled(self) -> list[float]:
        """``COUNT`` numbers about 0, of which 1 is a clear difference, for a network."""
        return [
            (self.level_db - MIDDLE_DB) / STEP_DB,
            self.centre_octaves - 10,
            float(np.log2(max(self.seconds, 0.1))) - 2,
            min(self.onsets, 6.0) - 1,
        ]

    @classmethod
    def of(cls, scaled: Sequence[float]) -> Measures:
        """Whose ``scaled`` these are, as far as they tell."""
        level, centre, length, rises = scaled
        return cls(level * STEP_DB + MIDDLE_DB, centre + 10, 2.0 ** (length + 2), rises + 1)


def measure(samples: Samples, sample_rate: int) -> Measures:
    """Of a clip [S]."""
    return Measures(
        level_db(samples),
        centre_octaves(samples, sample_rate),
        len(samples) / sample_rate,
        onsets(samples, sample_rate),
    )


def level_db(samples: Samples) -> float:
    """Root mean square, in decibels of full scale; not below ``SILENT_DB``."""
    return max(
        float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)), SILENT_DB
    )


def centre_octaves(samples: Samples, sample_rate: int) -> float:
    """Where the middle of the spectrum's power is, in octaves over 1 Hz."""
    spectrum = torch.view_as_real(torch.fft.rfft(torch.from_numpy(samples)))
    first, octaves = _octaves(len(spectrum), sample_rate)
    weights = spectrum[first:].square().sum(dim=1)
    return float((octaves * weights).sum()) / max(float(weights.sum()), 1e-12)


@lru_cache(maxsize=4)
def _octaves(count: int, sample_rate: int) -> tuple[int, Tensor]:
    """The first audible of so many places of a spectrum, and from there on where each lies."""
    hertz = torch.linspace(0, sample_rate / 2, count)
    first = int((hertz < LOWEST_HZ).sum())
    return first, hertz[first:].log2()


def onsets(samples: Samples, sample_rate: int) -> float:
    """Sudden rises of level, per second."""
    hop = round(FRAME_S * sample_rate)
    count = len(samples) // hop
    if count < 2:
        return 0.0
    energy = np.square(samples[: count * hop]).reshape(count, hop).mean(axis=1)
    level = np.maximum(10 * np.log10(energy + 1e-12), SILENT_DB)
    pause = round(PAUSE_S / FRAME_S)
    before = np.convolve(np.pad(energy, (pause, 0), mode="edge"), np.ones(pause) / pause, "valid")
    rises = level - np.maximum(10 * np.log10(before[:count] + 1e-12), SILENT_DB)
    found, last = 0, -pause
    heard = (rises > RISE_DB) & (level > level.max() - BELOW_DB)
    for frame in np.flatnonzero(heard).tolist():
        if frame - last >= pause:
            found += 1
        last = frame
    return found / (len(samples) / sample_rate)
