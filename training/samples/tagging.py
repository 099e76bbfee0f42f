"""Scenes with tags and no captions: what the encoder is pretrained on.

Shapes: B clips, S samples, T encoder frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.captions.kinds import KINDS
from training.scenes import augment
from training.scenes.scene import Placed, Scene, SoundBank


class TaggingScenes(Dataset[dict[str, Tensor]]):
    """``size`` scenes of one length, each a function of the seed and its index alone.

    Single recordings, pairs of whole recordings at about equal power, laid-out events, silence.
    """

    def __init__(
        self, bank: SoundBank, *, size: int, seed: int, frame: int, seconds: float = 3.2
    ) -> None:
        """``frame`` is the encoder's, in samples."""
        self.bank = bank
        self.size = size
        self.seed = seed
        self.frame = frame
        self.length = int(seconds * bank.sample_rate)

    def __len__(self) -> int:
        """Scenes; none is kept, so that there may be any number."""
        return self.size

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``samples`` [S] and ``active`` [T, K]."""
        rng = np.random.default_rng((self.seed, index))
        scene = self.scene(rng)
        samples = level(scene.mix(), rng)
        return {
            "samples": torch.from_numpy(samples),
            "active": torch.from_numpy(scene.activity(KINDS, self.frame)),
        }

    def scene(self, rng: np.random.Generator) -> Scene:
        """What one sample is made of."""
        choice = rng.random()
        if choice < 0.42:
            return Scene(self.length, (self.whole(rng),))
        if choice < 0.82:
            first = self.whole(rng)
            second = self.whole(rng, avoid=(first.kind,))
            return Scene(self.length, (first, matched(second, first, rng.normal(0, 4))))
        if choice < 0.97:
            placed: list[Placed] = []
            for _ in range(int(rng.integers(1, 4))):
                kind, samples = self.bank.draw(rng, avoid=[p.kind for p in placed])
                samples = self.bank.event(
                    self.bank.vary(samples, rng), rng, int(rng.uniform(0.25, 0.8) * self.length)
                )
                start = int(rng.integers(self.length - len(samples) + 1))
                sound = Placed(kind, start, samples)
                placed.append(matched(sound, placed[0], rng.normal(0, 4)) if placed else sound)
            return Scene(self.length, tuple(placed))
        return Scene(self.length, ())

    def whole(
        self, rng: np.random.Generator, kind: str | None = None, avoid: Sequence[str] = ()
    ) -> Placed:
        """A recording over the whole scene: of ``kind`` if given, of none in ``avoid``."""
        kind, samples = self.bank.draw(rng, kind=kind, avoid=avoid)
        samples = self.bank.vary(samples, rng)
        return Placed(kind, 0, self.bank.window(samples, rng, self.length))


def matched(sound: Placed, other: Placed, above_db: float = 0.0) -> Placed:
    """``sound`` at ``above_db`` dB over the power of ``other``, each over its own length."""
    own, wanted = augment.power(sound.samples), augment.power(other.samples)
    if own == 0.0 or wanted == 0.0:
        return sound
    return sound.scaled(float(np.sqrt(wanted / own) * 10 ** (above_db / 20)))


def level(samples: augment.Samples, rng: np.random.Generator) -> augment.Samples:
    """A random recording level with, mostly, some noise; the peak stays within [-1, 1]."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 0:
        samples = samples / np.float32(peak) * np.float32(10 ** (rng.uniform(-15, 0) / 20))
    if rng.random() < 0.7:
        samples = augment.add_noise(samples, rng, rng.uniform(-80, -42))
    return np.clip(samples, -1, 1)


def collate(items: Sequence[dict[str, Tensor]]) -> dict[str, Any]:
    """Stack scenes of one length: ``samples`` [B, S], ``active`` [B, T, K]."""
    return {key: torch.stack([item[key] for item in items]) for key in items[0]}
