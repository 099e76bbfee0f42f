"""An hour of background, piece by piece.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.datasets.recording import Recording, Samples

HOUR_S = 3600
LEVEL_DB = -35.0
"""Root mean square of the whole, relative to full scale."""
PIECE_S = 1.6
STREET = ("engine", "engine", "wind", "footsteps", "car_horn")
"""Kinds of ESC-50, each a layer of its own."""
PAUSE_S = 10.0
"""At most, between two recordings of a layer."""
SOFTER_DB = 15.0
"""A recording is up to so much softer than another."""


def hum(sample_rate: int, seed: int) -> Iterator[Samples]:
    """A mains hum with harmonics, and faint noise: [S] each."""
    rng = np.random.default_rng(seed)
    size = round(PIECE_S * sample_rate)
    for start in range(0, HOUR_S * sample_rate, size):
        times = np.arange(start, start + size) / sample_rate
        tones = [np.sin(2 * np.pi * 50 * k * times + k) / k for k in (1, 2, 3, 4, 6, 8)]
        piece = np.sum(tones, axis=0) + 0.1 * rng.standard_normal(size)
        yield piece * 10 ** (LEVEL_DB / 20) / 0.9  # about the root mean square of what stands above


def street(recordings: Sequence[Recording], sample_rate: int, seed: int) -> Iterator[Samples]:
    """What is heard in a street, in no order: [S] each."""
    rng = np.random.default_rng(seed)
    whole = np.zeros(HOUR_S * sample_rate, np.float32)
    for kind in STREET:
        takes = [one.samples for one in recordings if one.kind == kind]
        at = 0
        while at < len(whole):
            at += round(rng.uniform(0, PAUSE_S) * sample_rate)
            take = takes[rng.integers(len(takes))]
            level = 10 ** (-rng.uniform(0, SOFTER_DB) / 20) / (np.std(take) + 1e-3)
            piece = whole[at : at + len(take)]
            piece += level * take[: len(piece)]
            at += len(take)
    whole *= 10 ** (LEVEL_DB / 20) / whole.std()
    size = round(PIECE_S * sample_rate)
    yield from np.split(whole, range(size, len(whole), size))
