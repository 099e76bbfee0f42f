"""Mixtures with references, and the teacher's opinion of what the reference has not.

Input and reference are drawn by Algorithm 1 of Audio Difference Learning (section 5.2) under all of
its conditions, and beside them what a service meets: the reference is the original, the input
itself, something else or nothing. Every sample is a function of the seed and its index alone.

Shapes: S and R samples, W windows, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.utils.data import Dataset

from training.datasets.errors import DataError
from training.datasets.recording import Samples
from training.samples.canvases import LENGTH, WINDOWS, Canvases, Lies
from training.samples.collate import Sample
from training.samples.tracks import KINDS, certain
from training.scenes import augment
from training.scenes.algorithm1 import CONDITIONS, Addition, mix

BOTH = 0.15
"""A kind that both the rest and the reference hold at this probability is left out of the loss."""
PATIENCE = 1000
"""Draws."""
TASKS = {"difference": 0.5, "inverse": 0.2, "nothing": 0.14, "unrelated": 0.1, "silent": 0.06}
SHARES = {
    "same/same": 0.27,
    "same/diff": 0.27,
    "diff/diff": 0.28,
    "multi/same": 0.09,
    "multi/diff": 0.09,
}


@dataclass(frozen=True)
class Pair:
    """An input and its reference at 32 kHz."""

    input: Samples
    reference: Samples
    rest: tuple[Samples, Sequence[Lies]] | None
    """What the input has and the reference has not; None: nothing."""
    other: Samples | None
    """What is heard beside the rest."""


class Differences(Dataset[Sample]):
    """Inputs, references and targets."""

    def __init__(self, canvases: Canvases, *, seed: int) -> None:
        """``canvases`` are what is added to; their own seed is not used."""
        self.canvases = canvases
        self.seed = seed
        store = canvases.store
        self.label = {
            number: store.recordings[number].labels[0]
            for number in canvases.numbers.tolist()
            if store.recordings[number].labels
        }
        self.by_label: dict[str, list[int]] = {}
        for number, label in self.label.items():
            self.by_label.setdefault(label, []).append(number)

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], ``reference`` [R], ``clip`` [K], ``windows`` [W, K], ``weights`` [K]."""
        rng = np.random.default_rng((self.seed, 31, index))
        pair = self.pair(rng)
        target = self.target(pair.rest, pair.other)
        return {
            "input": self.canvases.recorded(pair.input, rng),
            "reference": self.canvases.recorded(pair.reference[:LENGTH], rng),
            **target,
        }

    def pair(self, rng: np.random.Generator) -> Pair:
        """One of the tasks."""
        original, placed = self.canvases.canvas(rng)
        avoid = {self.label[number] for number, _, _ in placed if number in self.label}
        task = str(rng.choice(list(TASKS), p=list(TASKS.values())))
        condition = CONDITIONS[str(rng.choice(list(SHARES), p=list(SHARES.values())))]
        numbers: list[int] = []

        def draw() -> Addition:
            number, addition = self.recording(rng, avoid)
            numbers.append(number)
            return addition

        mixture = mix(original, draw, condition, rng, 0.5)
        added = [
            (number, one.start, one.start + len(one.samples))
            for number, one in zip(numbers, mixture.added.placed, strict=True)
        ]
        was, then = (original, placed), (mixture.input - original, added)
        return {
            "difference": Pair(mixture.input, mixture.reference, was, mixture.reference),
            "inverse": Pair(mixture.input, original, then, original),
            "nothing": Pair(original, self.same(original, mixture.input, rng), None, original),
            "unrelated": Pair(original, mixture.reference, was, mixture.reference),
            "silent": Pair(original, np.zeros(LENGTH // 2, np.float32), was, None),
        }[task]

    def recording(self, rng: np.random.Generator, avoid: Set[str]) -> tuple[int, Addition]:
        """Something to add, of none of the labels in ``avoid``, nor a case of them, nor they of it.

        With its number.

        Raises DataError if there seems to be none.
        """
        above = avoid | set(certain(*avoid))
        for _ in range(PATIENCE):
            number, samples = self.canvases.sound(rng)
            label = self.label.get(number)
            if label is None or label in above or not avoid.isdisjoint(certain(label)):
                continue
            if augment.power(samples) > 0:
                return number, Addition(label, samples, partial(self.another, number, rng))
        raise DataError(f"too few kinds of recordings to add one to {', '.join(sorted(avoid))}")

    def another(self, number: int, rng: np.random.Generator) -> Samples:
        """Another recording of the same label, or the same one where it is alone."""
        numbers = [n for n in self.by_label[self.label[number]] if n != number] or [number]
        samples = self.canvases.store.samples(numbers[rng.integers(len(numbers))])
        return samples[:LENGTH]

    def same(self, original: Samples, more: Samples, rng: np.random.Generator) -> Samples:
        """A reference that holds all of ``original``: itself, moved, or with more."""
        choice = rng.random()
        if choice < 0.5:
            return original
        if choice < 0.75:
            return np.roll(original, int(rng.integers(len(original))))
        return more

    def target(
        self, rest: tuple[Samples, Sequence[Lies]] | None, other: Samples | None
    ) -> dict[str, torch.Tensor]:
        """What is said of the rest; what the other holds too is left out of the loss."""
        if rest is None or augment.power(rest[0]) == 0:
            return {
                "clip": torch.zeros(len(KINDS), dtype=torch.half),
                "windows": torch.zeros(len(WINDOWS), len(KINDS), dtype=torch.half),
                "weights": torch.ones(len(KINDS), dtype=torch.half),
            }
        opinion = self.canvases.opinion(*rest)
        weights = torch.ones_like(opinion["clip"])
        if other is not None:
            padded = np.zeros(LENGTH, np.float32)
            padded[: len(other[:LENGTH])] = other[:LENGTH]
            both = (self.canvases.teacher.clip(padded) > BOTH) & (opinion["clip"] > BOTH)
            weights[both] = 0
        return {"clip": opinion["clip"], "windows": opinion["windows"], "weights": weights}
