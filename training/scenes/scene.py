"""Scenes: recordings of known kinds laid out on a canvas.

Shapes: S samples, N placed sounds, T frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.captions.grammar import Event
from training.datasets.recording import Samples
from training.scenes.augment import power


@dataclass(frozen=True)
class Placed:
    """One sound on the canvas; it lies wholly inside."""

    kind: str
    start: int
    """In samples."""
    samples: Samples

    def scaled(self, gain: float) -> Placed:
        """The same, louder or softer."""
        return Placed(self.kind, self.start, self.samples * np.float32(gain))


@dataclass(frozen=True)
class Scene:
    """A canvas of ``length`` samples and what sounds on it."""

    length: int
    placed: tuple[Placed, ...]

    def mix(self) -> Samples:
        """[S]: the sum of what is placed."""
        canvas = np.zeros(self.length, np.float32)
        for sound in self.placed:
            canvas[sound.start : sound.start + len(sound.samples)] += sound.samples
        return canvas

    def events(self, sample_rate: int) -> tuple[Event, ...]:
        """Who sounds when, in seconds: from the first to the last audible moment."""
        events = []
        for sound in self.placed:
            first, last = active_span(sound.samples, sample_rate)
            events.append(
                Event(
                    sound.kind,
                    (sound.start + first) / sample_rate,
                    (sound.start + last) / sample_rate,
                )
            )
        return tuple(events)

    def activity(self, kinds: Sequence[str], frame: int) -> NDArray[np.float32]:
        """[T, K] of 0 and 1: which kind is audible in each stretch of ``frame`` samples.

        Audible: above -35 dB of the sound's loudest frame.
        """
        active = np.zeros((self.length // frame, len(kinds)), np.float32)
        for sound in self.placed:
            stem = np.zeros(active.shape[0] * frame, np.float32)
            piece = sound.samples[: max(0, len(stem) - sound.start)]
            stem[sound.start : sound.start + len(piece)] = piece
            energy = np.square(stem).reshape(-1, frame).sum(axis=1)
            column = active[:, kinds.index(sound.kind)]
            np.maximum(column, (energy > energy.max(initial=0.0) * 10**-3.5), out=column)
        return active


def matched(sound: Placed, other: Placed, above_db: float = 0.0) -> Placed:
    """``sound`` at ``above_db`` dB over the power of ``other``, each over its own length."""
    own, wanted = power(sound.samples), power(other.samples)
    if own == 0.0 or wanted == 0.0:
        return sound
    return sound.scaled(float(np.sqrt(wanted / own) * 10 ** (above_db / 20)))


def active_span(samples: Samples, sample_rate: int, below_db: float = 40.0) -> tuple[int, int]:
    """First and last sample (exclusive) of what is within ``below_db`` dB of the loudest 20 ms."""
    hop = sample_rate // 50
    usable = len(samples) // hop * hop
    if usable == 0:
        return 0, len(samples)
    energy = np.square(samples[:usable]).reshape(-1, hop).mean(axis=1)
    loud = np.flatnonzero(energy > energy.max() * 10 ** (-below_db / 10))
    if len(loud) == 0:
        return 0, len(samples)
    return int(loud[0]) * hop, int(loud[-1] + 1) * hop
