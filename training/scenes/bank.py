"""Where scenes draw their sounds from.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from training.datasets.recording import Samples
from training.scenes.augment import change_speed, faded, quantize8
from training.scenes.scene import active_span


class Sound(Protocol):
    """A recording, in memory or read when it is asked for."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is heard in it, the main kind first; at least one."""

    @property
    def samples(self) -> Samples:
        """[S]."""


class SoundBank:
    """Recordings by kind: each under all of its own."""

    def __init__(self, recordings: Sequence[Sound], *, sample_rate: int) -> None:
        """``sample_rate`` is theirs."""
        self.sample_rate = sample_rate
        self.recordings = list(recordings)
        self.by_kind: dict[str, list[Sound]] = {}
        for recording in recordings:
            for kind in recording.kinds:
                self.by_kind.setdefault(kind, []).append(recording)

    def draw(
        self, rng: np.random.Generator, kind: str | None = None, avoid: Sequence[str] = ()
    ) -> tuple[str, Samples]:
        """A kind and a recording of it: of ``kind`` if given, of none in ``avoid``.

        Raises KeyError if there is no recording of ``kind``.
        """
        recordings = self.recordings if kind is None else self.by_kind[kind]
        while True:
            drawn = recordings[rng.integers(len(recordings))]
            main = drawn.kinds[0] if kind is None else kind
            if main not in avoid:
                return main, drawn.samples

    def another(self, rng: np.random.Generator, kind: str, samples: Samples) -> Samples:
        """Another recording of ``kind`` than ``samples``, which was drawn; the same if alone."""
        alone = len(self.by_kind[kind]) == 1
        while True:
            _, other = self.draw(rng, kind=kind)
            if alone or other is not samples:
                return other

    def vary(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """The sound played a little faster or slower, sometimes rounded to 8 bits."""
        if rng.random() < 0.6:
            samples = change_speed(samples, float(np.exp(rng.uniform(-0.2, 0.2))))
        return quantize8(samples) if rng.random() < 0.6 else samples

    def event(self, samples: Samples, rng: np.random.Generator, longest: int) -> Samples:
        """The audible part of a recording, cut to at most ``longest`` samples, with short fades."""
        first, last = active_span(samples, self.sample_rate)
        samples = samples[first:last]
        if len(samples) > longest:
            start = int(rng.integers(len(samples) - longest + 1))
            samples = samples[start : start + longest]
        return faded(samples, self.sample_rate // 100)
