"""Scenes: recordings of known kinds laid out on a canvas.

Shapes: S samples, N placed sounds, T frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.captions.grammar import Event
from training.datasets.esc50.read import Clip
from training.scenes import augment
from training.scenes.augment import Samples
from training.scenes.synthetic import SOUNDS, synthesize


@dataclass(frozen=True)
class Placed:
    """One sound on the canvas; it lies wholly inside."""

    kind: str
    start: int
    """In samples."""
    samples: Samples
    background: bool = False

    def scaled(self, gain: float) -> Placed:
        """The same, louder or softer."""
        return Placed(self.kind, self.start, self.samples * np.float32(gain), self.background)


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
                    sound.background,
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


class SoundBank:
    """Where scenes draw their sounds from: recordings by kind, and sounds made in code."""

    def __init__(
        self, clips: Sequence[Clip], *, sample_rate: int, synthetic_share: float = 0.08
    ) -> None:
        """``synthetic_share`` of the sounds are made in code; all of them if there is no clip."""
        self.sample_rate = sample_rate
        self.clips = list(clips)
        self.synthetic_share = synthetic_share if clips else 1.0
        self.by_kind: dict[str, list[Clip]] = {}
        for clip in clips:
            self.by_kind.setdefault(clip.kind, []).append(clip)

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
                clip = self.clips[rng.integers(len(self.clips))]
                drawn, samples = clip.kind, clip.samples
            elif kind in self.by_kind:
                clip = self.by_kind[kind][rng.integers(len(self.by_kind[kind]))]
                drawn, samples = kind, clip.samples
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
            samples = augment.change_speed(samples, float(np.exp(rng.uniform(-0.2, 0.2))))
        return augment.quantize8(samples) if rng.random() < 0.6 else samples

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
