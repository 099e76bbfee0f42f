"""Algorithm 1 of Audio Difference Learning (section 5.2): input and reference without labels.

Shapes: S samples of the original, R samples of the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.datasets.recording import Samples
from training.scenes.augment import power
from training.scenes.bank import SoundBank
from training.scenes.scene import Placed, Scene


@dataclass(frozen=True)
class Condition:
    """Which recording the reference is, whether it is aligned, and how many are added."""

    source: Literal["same", "diff"]
    """Same: the very recording that was added; diff: another one of its kind."""
    time: Literal["same", "diff"]
    """Same: the reference lies where it was added; diff: it starts at its own beginning."""
    multi: bool = False
    """Two or three recordings are added instead of one."""
    power_db: float = 0
    """What is added is as much louder than the original."""


CONDITIONS: dict[str, Condition] = {
    "same/same": Condition("same", "same"),
    "same/diff": Condition("same", "diff"),
    "diff/diff": Condition("diff", "diff"),
    # The paper leaves the source of Multi open; the reference is made of the recordings added.
    "multi/same": Condition("same", "same", multi=True),
    "multi/diff": Condition("same", "diff", multi=True),
}
"""The paper's five, as its Table 2 names them: source / time."""
POWERS: dict[str, Condition] = {
    "same/same, -6 dB": Condition("same", "same", power_db=-6),
    "same/same, +6 dB": Condition("same", "same", power_db=6),
}
"""Where what is added is softer or louder than what it is added to."""


@dataclass(frozen=True)
class Addition:
    """A recording to add, and how to get another one of its kind."""

    kind: str
    samples: Samples
    another: Callable[[], Samples]


@dataclass(frozen=True)
class Mixture:
    """What Algorithm 1 returns, and what it added."""

    input: Samples
    """[S]: the original with the recordings superimposed."""
    reference: Samples
    """[R]: R = S where the reference is aligned."""
    added: Scene
    """The recordings alone, as they were superimposed."""


def draw_mixture(
    original: Samples,
    bank: SoundBank,
    present: Sequence[str],
    condition: Condition,
    rng: np.random.Generator,
) -> Mixture:
    """``mix`` with recordings of the bank, of none of the kinds that are ``present``."""

    def draw() -> Addition:
        kind, samples = bank.draw(rng, avoid=present)
        return Addition(kind, samples, lambda: bank.another(rng, kind, samples))

    return mix(original, draw, condition, rng)


def mix(
    original: Samples,
    draw: Callable[[], Addition],
    condition: Condition,
    rng: np.random.Generator,
    latest: float = 1.0,
) -> Mixture:
    """Superimpose recordings on ``original`` [S] at matched power and make the reference.

    ``t_add`` is uniform over the first ``latest`` share of the original; what runs past its end is
    cut. Matched power: the whole recording, before it is cut, has the mean power of the original
    (or more, by the condition's ``power_db``); where either is silent it keeps its level.
    """
    size = len(original)
    mixed = original.copy()
    added: list[Placed] = []
    references: list[tuple[int, Samples]] = []
    for _ in range(int(rng.integers(2, 4)) if condition.multi else 1):
        addition = draw()
        start = int(rng.integers(max(1, int(size * latest))))
        gain = matching_gain(addition.samples, original)
        gain *= np.float32(10 ** (condition.power_db / 20))
        piece = addition.samples[: size - start] * gain
        mixed[start : start + len(piece)] += piece
        added.append(Placed(addition.kind, start, piece))
        other = addition.samples if condition.source == "same" else addition.another()
        if condition.time == "same":
            references.append((start, other[: size - start] * gain))
        else:
            references.append((0, other * gain))
    length = size if condition.time == "same" else max(len(piece) for _, piece in references)
    reference = np.zeros(length, np.float32)
    for start, piece in references:
        reference[start : start + len(piece)] += piece
    return Mixture(mixed, reference, Scene(size, tuple(added)))


def matching_gain(samples: Samples, other: Samples) -> np.float32:
    """The factor that gives ``samples`` the mean power of ``other``; 1 if either is silent."""
    own, wanted = power(samples), power(other)
    return np.float32(np.sqrt(wanted / own)) if own > 0 and wanted > 0 else np.float32(1)
