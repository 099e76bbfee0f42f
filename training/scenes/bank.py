"""Where scenes draw their sounds from.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.datasets.recording import Recording, Samples
from training.scenes.augment import change_speed, quantize8
from training.scenes.scene import active_span
from training.scenes.synthetic import SOUNDS, synthesize


class SoundBank:
    """Recordings by kind, and sounds made in code."""

    def __init__(
        self, recordings: Sequence[Recording], *, sample_rate: int, synthetic_share: float = 0.08
    ) -> None:
        """``synthetic_share`` of the sounds are made in code; all if there is no recording."""
        self.sample_rate = sample_rate
        self.recordings = list(recordings)
        self.synthetic_share = synthetic_share if recordings else 1.0
        self.by_kind: dict[str, list[Recording]] = {}
        for recording in recordings:
            self.by_kind.setdefault(recording.kind, []).append(recording)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind that can be drawn, sorted."""
        return tuple(sorted({*self.by_kind, *(sound.kind for sound in SOUNDS.values())}))

    def draw(
        self, rng: np.random.Generator, kind: str | None = None, avoid: Sequence[str] = ()
    ) -> tuple[str, Samples]:
        """A kind and one of its sounds as recorded: of ``kind`` if given, of none in ``avoid``."""
        while True:
            if kind is None and rng.random() >= self.synthetic_share:
                one = self.recordings[rng.integers(len(self.recordings))]
                drawn, samples = one.kind, one.samples
            elif kind in self.by_kind:
                one = self.by_kind[kind][rng.integers(len(self.by_kind[kind]))]
                drawn, samples = kind, one.samples
            else:
                names = [n for n, sound in SOUNDS.items() if kind in (None, sound.kind)]
                name = names[rng.integers(len(names))]
                drawn = SOUNDS[name].kind
                samples = synthesize(name, rng, self.sample_rate)
            if drawn not in avoid:
                return drawn, samples

    def another(self, rng: np.random.Generator, kind: str, samples: Samples) -> Samples:
        """Another sound of ``kind`` than ``samples``, which was drawn; the same if it is alone."""
        alone = len(self.by_kind.get(kind, ())) == 1
        while True:
            _, other = self.draw(rng, kind=kind)
            if alone or other is not samples:
                return other

    def vary(self, samples: Samples, rng: np.random.Generator) -> Samples:
        """The sound played a little faster or slower, sometimes rounded to 8 bits."""
        if rng.random() < 0.6:
            samples = change_speed(samples, float(np.exp(rng.uniform(-0.2, 0.2))))
        return quantize8(samples) if rng.random() < 0.6 else samples

    def window(self, samples: Samples, rng: np.random.Generator, length: int) -> Samples:
        """[length]: a random view of a recording that holds its audible part, or is full of it."""
        first, last = active_span(samples, self.sample_rate)
        low, high = sorted((first, last - length))
        start = int(rng.integers(low, high + 1))
        view = np.zeros(length, np.float32)
        piece = samples[max(0, start) : max(0, start + length)]
        view[max(0, -start) : max(0, -start) + len(piece)] = piece
        return view

    def event(self, samples: Samples, rng: np.random.Generator, longest: int) -> Samples:
        """The audible part of a recording, cut to at most ``longest`` samples, with short fades."""
        first, last = active_span(samples, self.sample_rate)
        samples = samples[first:last]
        if len(samples) > longest:
            start = int(rng.integers(len(samples) - longest + 1))
            samples = samples[start : start + longest]
        samples = samples.copy()
        fade = min(len(samples) // 2, self.sample_rate // 100)
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        samples[:fade] *= ramp
        samples[len(samples) - fade :] *= ramp[::-1]
        return samples
