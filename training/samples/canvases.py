"""Canvases: one to three recordings mixed at random, and the teacher's opinion of the mixture.

Every canvas is a function of the seed and its index alone. All are of one length: the teacher's
squeeze-and-excitation hears the whole of it.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import soxr
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.encoders.efficientat import FRAME, WINDOW
from training.datasets.recording import Samples
from training.samples.collate import Sample
from training.samples.teacher import Teacher
from training.scenes import augment
from training.scenes.scene import active_span
from training.scenes.store import SAMPLE_RATE, Store
from training.scenes.synthetic import SOUNDS, synthesize

FRAMES = 18
"""Six patches of the student's, three windows of the teacher's."""
LENGTH = FRAMES * FRAME
WINDOWS = tuple(range(0, FRAMES, WINDOW))
"""The first frame of each window."""
KNOWN = 0.7
"""What is surely heard is at least as likely, whatever the teacher says."""
BELIEVED = 0.03
"""A kind that the teacher gives as much is not a guess: it tells where the kind is heard."""
Lies = tuple[int, int, int]
"""A recording's number, and the samples from which to which it is heard."""


class Canvases(Dataset[Sample]):
    """Canvases of the recordings that ``numbers`` name."""

    def __init__(
        self,
        store: Store,
        numbers: Sequence[int],
        teacher: Teacher,
        *,
        sample_rate: int,
        seed: int,
        known: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        """``sample_rate``: what the encoder hears; ``known``: recording -> kinds surely in it."""
        self.store = store
        self.numbers = np.asarray(numbers)
        self.teacher = teacher
        self.sample_rate = sample_rate
        self.seed = seed
        self.known = known or {}
        by_label: dict[str, list[int]] = {}
        for number in numbers:
            for name in store.recordings[number].labels[:1]:
                by_label.setdefault(name, []).append(number)
        self.by_label = list(by_label.values())

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], and what :class:`Teacher` says of the canvas."""
        rng = np.random.default_rng((self.seed, 11, index))
        canvas, placed = self.canvas(rng)
        return {"input": self.recorded(canvas, rng), **self.opinion(canvas, placed)}

    def opinion(self, canvas: Samples, placed: Sequence[Lies]) -> dict[str, Tensor]:
        """The teacher's of [S] at 32 kHz, surer of what is known of the recordings in it.

        In that window where the teacher believes in a kind most it is as likely as is known, in the
        others in proportion; where it has no belief, in all that the recording reaches into.
        """
        opinion = self.teacher.opinion(canvas)
        for number, start, end in placed:
            reached = [
                row
                for row, first in enumerate(WINDOWS)
                if min(end, (first + WINDOW) * FRAME) - max(start, first * FRAME) > FRAME
            ]
            for kind in self.known.get(number, ()):
                opinion["clip"][kind].clamp_(min=KNOWN)
                if not reached:
                    continue
                found = opinion["windows"][reached, kind].float()
                peak = float(found.max())
                surer = found * max(1.0, KNOWN / peak) if peak > BELIEVED else found.clamp(KNOWN)
                opinion["windows"][reached, kind] = surer.half()
        return opinion

    def recorded(self, samples: Samples, rng: np.random.Generator) -> Tensor:
        """[S] at 32 kHz -> what the encoder hears of it: degraded, at its rate."""
        heard = samples
        if self.sample_rate != SAMPLE_RATE:
            heard = soxr.resample(samples, SAMPLE_RATE, self.sample_rate, "MQ")
        return torch.from_numpy(degrade(heard, rng, self.sample_rate))

    def canvas(self, rng: np.random.Generator) -> tuple[Samples, list[Lies]]:
        """[S] at 32 kHz, and which recording lies from where to where."""
        mixed = np.zeros(LENGTH, np.float32)
        placed: list[Lies] = []
        if rng.random() < 0.02:
            return augment.add_noise(mixed, rng, rng.uniform(-95, -70)), placed
        wanted = 0.0
        for turn in range(int(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))):
            number, sound = self.sound(rng)
            start = int(rng.integers(LENGTH - len(sound) + 1))
            power = augment.power(sound)
            if power == 0:
                continue
            if turn == 0 or wanted == 0:
                wanted, above = power, 0.0
            else:
                above = rng.uniform(-12, 3)
            gain = np.float32(np.sqrt(wanted / power) * 10 ** (above / 20))
            mixed[start : start + len(sound)] += gain * sound
            if above > -6:
                placed.append((number, start, start + len(sound)))
        return mixed, placed

    def sound(self, rng: np.random.Generator) -> tuple[int, Samples]:
        """A recording's number (-1: made in code) and at most a canvas of its audible part."""
        if rng.random() < 0.04:
            names = list(SOUNDS)
            made = synthesize(names[rng.integers(len(names))], rng, SAMPLE_RATE, 4.0)
            return -1, made
        if rng.random() < 0.5:
            numbers = self.by_label[rng.integers(len(self.by_label))]
            number = int(numbers[rng.integers(len(numbers))])
        else:
            number = int(self.numbers[rng.integers(len(self.numbers))])
        samples = self.store.samples(number)
        first, last = active_span(samples, SAMPLE_RATE, 45)
        samples = samples[max(0, first - 1600) : last + 1600]
        if rng.random() < 0.5:
            samples = augment.change_speed(samples, float(np.exp(rng.uniform(-0.22, 0.22))))
        if len(samples) > LENGTH:
            start = int(rng.integers(len(samples) - LENGTH + 1))
            samples = samples[start : start + LENGTH]
        elif rng.random() < 0.3:  # again and again
            samples = np.resize(samples, LENGTH)
        if rng.random() < 0.12:
            samples = augment.reverberate(samples, rng, SAMPLE_RATE)[:LENGTH]
        return number, augment.faded(samples, SAMPLE_RATE // 100)


def degrade(samples: Samples, rng: np.random.Generator, sample_rate: int) -> Samples:
    """What storage and microphones do, which the teacher is spared: [S] -> [S]."""
    if rng.random() < 0.45:
        samples = augment.equalize(samples, rng, sample_rate)
    if rng.random() < 0.25:
        samples = augment.quantize8(samples)
    if rng.random() < 0.4:
        loud = 10 * np.log10(augment.power(samples) + 1e-12)
        samples = augment.add_noise(samples, rng, loud - rng.uniform(20, 45))
    gain = np.float32(10 ** (rng.uniform(-45, 6) / 20)) if rng.random() < 0.3 else np.float32(1)
    return samples * gain
