"""Scenes in pairs, with the tags of each and of what the first has and the second has not.

Shapes: S samples, T encoder frames, K kinds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from training.captions.kinds import KINDS
from training.samples.collate import Sample
from training.samples.tagging import TaggingScenes
from training.scenes.augment import level
from training.scenes.bank import SoundBank
from training.scenes.scene import Placed, Scene, matched


class ComparingScenes(Dataset[Sample]):
    """Pairs of scenes of one length, each a function of the seed and its index alone.

    The reference holds all, some or none of the input's sounds, as they are there, shifted in
    time or in another recording of their kind, and often one more.
    """

    def __init__(self, bank: SoundBank, *, seed: int, frame: int, seconds: float = 3.2) -> None:
        """``frame`` is the encoder's, in samples."""
        self.scenes = TaggingScenes(bank, seed=seed, frame=frame, seconds=seconds)
        self.bank = bank
        self.seed = seed
        self.frame = frame

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], ``reference`` [S]; ``active`` [3, T, K]: theirs, the difference's.

        What differs goes by kind: a dog in the reference takes every dog away.
        """
        rng = np.random.default_rng((self.seed, 2, index))
        input_ = self.scenes.scene(rng)
        reference = self._reference(input_, rng)
        kinds = {sound.kind for sound in reference.placed}
        rest = tuple(sound for sound in input_.placed if sound.kind not in kinds)
        scenes = (input_, reference, Scene(input_.length, rest))
        return {
            "input": torch.from_numpy(level(input_.mix(), rng)),
            "reference": torch.from_numpy(level(reference.mix(), rng)),
            "active": torch.from_numpy(np.stack([s.activity(KINDS, self.frame) for s in scenes])),
        }

    def _reference(self, input_: Scene, rng: np.random.Generator) -> Scene:
        count = len(input_.placed)
        some = int(rng.integers(1, count)) if count > 1 else 0
        chosen = rng.permutation(count)[: count if rng.random() < 0.2 else some]
        placed = [self.again(input_.placed[i], input_.length, rng) for i in chosen]
        if rng.random() < (0.3 if placed else 0.95):
            present = [sound.kind for sound in input_.placed]
            extra = self.scenes.whole(rng, avoid=present)
            placed.append(matched(extra, placed[0], rng.normal(0, 4)) if placed else extra)
        return Scene(input_.length, tuple(placed))

    def again(self, sound: Placed, length: int, rng: np.random.Generator) -> Placed:
        """The sound in the reference: aligned, shifted, or another recording of its kind."""
        choice = rng.random()
        if choice < 0.4:
            again = sound
        elif choice < 0.7:
            canvas = Scene(length, (sound,)).mix()
            again = Placed(sound.kind, 0, np.roll(canvas, int(rng.integers(length))))
        else:
            again = matched(self.scenes.whole(rng, kind=sound.kind), sound)
        return again.scaled(float(10 ** (rng.normal(0, 3) / 20)))
