"""Scenes with tags and no captions: what the encoder is pretrained on.

Shapes: S samples, T encoder frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from training.captions.kinds import KINDS
from training.samples.collate import Sample
from training.scenes.augment import level
from training.scenes.bank import SoundBank
from training.scenes.scene import Placed, Scene, matched


class TaggingScenes(Dataset[Sample]):
    """Scenes of one length, each a function of the seed and its index alone.

    Single recordings, pairs of whole recordings at about equal power, laid-out events, silence.
    """

    def __init__(self, bank: SoundBank, *, seed: int, frame: int, seconds: float = 3.2) -> None:
        """``frame`` is the encoder's, in samples."""
        self.bank = bank
        self.seed = seed
        self.frame = frame
        self.length = int(seconds * bank.sample_rate)

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S] and ``active`` [T, K]."""
        rng = np.random.default_rng((self.seed, index))
        scene = self.scene(rng)
        return {
            "input": torch.from_numpy(level(scene.mix(), rng)),
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
