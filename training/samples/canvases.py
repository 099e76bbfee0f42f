"""Canvases: one to three recordings mixed at random, and the teacher's opinion of the mixture.

Every canvas is a function of the seed and its index alone. Its length is that of whole patches of
the student, and the same for all: the teacher's squeeze-and-excitation hears the whole of it.

Shapes: S samples, W windows, K kinds, D features of the teacher.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.encoders.efficientat import EfficientAtNetwork, KaldiLogMel
from model.encoders.level import level
from training.datasets.recording import Samples
from training.samples.collate import Sample
from training.scenes import augment
from training.scenes.scene import active_span
from training.scenes.store import SAMPLE_RATE, Store
from training.scenes.synthetic import SOUNDS, synthesize

FRAMES = 18
"""Of 0.32 s: six patches."""
LENGTH = FRAMES * SAMPLE_RATE * 32 // 100
WINDOW = 6
"""Frames that the teacher's opinion of a stretch is about; stretches lie side by side."""
WINDOWS = tuple(range(0, FRAMES, WINDOW))


class Teacher:
    """EfficientAT's opinions of whole canvases and of windows of them."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.network = EfficientAtNetwork().eval()
        self.network.load_state_dict(weights)
        self.front_end = KaldiLogMel()

    @torch.no_grad()
    def __call__(self, samples: Samples) -> dict[str, Tensor]:
        """[S] at 32 kHz -> ``clip`` [K], ``windows`` [W, K], ``features`` [D], half precision."""
        heard = self._levelled(samples)
        clip, features = self.network(self.front_end(heard))
        windows, _ = self.network(self.front_end(heard.view(len(WINDOWS), -1)))
        return {
            "clip": clip[0].sigmoid().half(),
            "windows": windows.sigmoid().half(),
            "features": features[0].half(),
        }

    @torch.no_grad()
    def clip(self, samples: Samples) -> Tensor:
        """[S] at 32 kHz -> the opinion [K] of the whole alone."""
        logits: Tensor = self.network(self.front_end(self._levelled(samples)))[0]
        return logits[0].sigmoid()

    def _levelled(self, samples: Samples) -> Tensor:
        heard = torch.from_numpy(samples)[None]
        return level(heard, torch.tensor([heard.shape[1]]), SAMPLE_RATE)


class Canvases(Dataset[Sample]):
    """``size`` canvases of recordings that ``numbers`` name."""

    def __init__(
        self,
        store: Store,
        numbers: Sequence[int],
        teacher: Teacher,
        *,
        size: int,
        seed: int,
        label_targets: dict[int, Sequence[int]] | None = None,
    ) -> None:
        """``label_targets``: recording -> kinds that are surely heard in it."""
        self.store = store
        self.numbers = np.asarray(numbers)
        self.teacher = teacher
        self.size = size
        self.seed = seed
        self.sure = label_targets or {}
        by_label: dict[str, list[int]] = {}
        for number in numbers:
            for name in store.recordings[number].labels[:1]:
                by_label.setdefault(name, []).append(number)
        self.by_label = list(by_label.values())

    def __len__(self) -> int:
        """None is kept, so that there may be any number."""
        return self.size

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S] at 16 kHz, and what :class:`Teacher` says of the canvas."""
        torch.set_num_threads(1)
        rng = np.random.default_rng((self.seed, 11, index))
        canvas, placed = self.canvas(rng)
        opinion = self.teacher(canvas)
        for number, start, end in placed:
            for kind in self.sure.get(number, ()):
                opinion["clip"][kind] = max(float(opinion["clip"][kind]), 0.7)
                for row, first in enumerate(WINDOWS):
                    low, high = first * LENGTH // FRAMES, (first + WINDOW) * LENGTH // FRAMES
                    if min(end, high) - max(start, low) > LENGTH // FRAMES:
                        value = max(float(opinion["windows"][row, kind]), 0.7)
                        opinion["windows"][row, kind] = value
        return {"input": torch.from_numpy(degrade(half(canvas), rng)), **opinion}

    def canvas(self, rng: np.random.Generator) -> tuple[Samples, list[tuple[int, int, int]]]:
        """[S] at 32 kHz, and which recording lies from where to where."""
        mixed = np.zeros(LENGTH, np.float32)
        placed: list[tuple[int, int, int]] = []
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


def half(samples: Samples) -> Samples:
    """32 kHz -> 16 kHz."""
    found: Samples = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE // 2, "MQ")
    return found


def degrade(samples: Samples, rng: np.random.Generator) -> Samples:
    """What storage and microphones do, which the teacher is spared: [S] -> [S] at 16 kHz."""
    if rng.random() < 0.45:
        samples = augment.equalize(samples, rng, 16_000)
    if rng.random() < 0.25:
        samples = augment.quantize8(samples)
    if rng.random() < 0.4:
        loud = 10 * np.log10(augment.power(samples) + 1e-12)
        samples = augment.add_noise(samples, rng, loud - rng.uniform(20, 45))
    gain = np.float32(10 ** (rng.uniform(-45, 6) / 20)) if rng.random() < 0.3 else np.float32(1)
    return samples * gain
