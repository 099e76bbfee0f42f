"""Clips of one to three recordings of a store, and what is known of each and measured in it.

Shapes: S samples.
"""

from __future__ import annotations

import numpy as np

from model.measures import level_db, measure
from training.captions.edits import Noun, noun
from training.captions.explanations import Facts, Part
from training.captions.naming import apart
from training.datasets.recording import Samples
from training.scenes import augment
from training.scenes.scene import active_span
from training.scenes.store import Store

COUNTS = {1: 0.5, 2: 0.35, 3: 0.15}
"""Sounds of a clip."""
LONGEST_S = (2.0, 10.0)
SHORTEST_S = 0.7
GAIN_DB = (-6.0, 6.0)
"""Of a sound against the others, each over its own length."""
LEVEL_DB = (-40.0, -12.0)
PEAK = 0.98


class Clips:
    """Each is a function of the seed and its number alone; kinds are drawn as often as another."""

    def __init__(self, store: Store, *, sample_rate: int, seed: int) -> None:
        """``sample_rate`` is the store's."""
        self.store = store
        self.rate = sample_rate
        self.seed = seed
        self.by_noun: dict[Noun, list[int]] = {}
        for number, recording in enumerate(store.recordings):
            called = noun(recording.labels[0]) if recording.labels else None
            if called is not None:
                self.by_noun.setdefault(called, []).append(number)
        self.nouns = list(self.by_noun)

    def clip(self, number: int) -> tuple[Samples, Facts]:
        """[S], and the facts."""
        rng = np.random.default_rng((self.seed, 61, number))
        longest = int(rng.uniform(*LONGEST_S) * self.rate)
        count = int(rng.choice(list(COUNTS), p=list(COUNTS.values())))
        drawn = self._drawn(rng, count)
        share = 1.0 if count == 1 else rng.uniform(0.35, 0.9, count).max()
        sounds = [self._sound(called, rng, int(longest * share)) for called in drawn]
        size = max(int(SHORTEST_S * self.rate), *(len(sound) for sound in sounds))
        if count > 1:
            size = max(size, int(longest * rng.uniform(0.7, 1.0)))
        mixed, parts = np.zeros(size, np.float32), []
        for called, sound in zip(drawn, sounds, strict=True):
            start = int(rng.integers(size - len(sound) + 1))
            mixed[start : start + len(sound)] += sound
            parts.append(Part(called, start / self.rate, (start + len(sound)) / self.rate))
        return self._measured(self._recorded(mixed, rng), parts)

    def _drawn(self, rng: np.random.Generator, count: int) -> list[Noun]:
        drawn: list[Noun] = []
        while len(drawn) < count:
            called = self.nouns[rng.integers(len(self.nouns))]
            if all(apart((called.label,), (other.label,)) for other in drawn):
                drawn.append(called)
        return drawn

    def _sound(self, called: Noun, rng: np.random.Generator, longest: int) -> Samples:
        """A recording of the kind, its audible part, at a mean power about 1."""
        numbers = self.by_noun[called]
        samples = self.store.samples(numbers[rng.integers(len(numbers))])
        first, last = active_span(samples, self.rate, 45)
        samples = samples[first:last]
        if len(samples) > longest:
            start = int(rng.integers(len(samples) - longest + 1))
            samples = samples[start : start + longest]
        if rng.random() < 0.3:
            samples = augment.change_speed(samples, float(np.exp(rng.uniform(-0.12, 0.12))))
        samples = augment.faded(samples, self.rate // 100)[:longest]
        gain = 10 ** (rng.uniform(*GAIN_DB) / 20)
        return samples * np.float32(gain / max(np.sqrt(augment.power(samples)), 1e-6))

    def _recorded(self, clip: Samples, rng: np.random.Generator) -> Samples:
        if rng.random() < 0.25:
            clip = augment.equalize(clip, rng, self.rate)
        if rng.random() < 0.2:
            clip = augment.quantize8(clip)
        if rng.random() < 0.4:
            clip = augment.add_noise(clip, rng, level_db(clip) - rng.uniform(25, 50))
        gain = 10 ** (rng.uniform(*LEVEL_DB) / 20) / max(np.sqrt(augment.power(clip)), 1e-9)
        return clip * np.float32(min(gain, PEAK / max(float(np.abs(clip).max()), 1e-9)))

    def _measured(self, clip: Samples, parts: list[Part]) -> tuple[Samples, Facts]:
        return clip, facts(clip, self.rate, parts)


def facts(clip: Samples, sample_rate: int, parts: list[Part]) -> Facts:
    """What is measured in a clip [S], and its sounds in the order in which they begin."""
    return Facts.of(tuple(sorted(parts, key=lambda part: part.start_s)), measure(clip, sample_rate))
