"""What a caption may claim: scenes as the model hears them, and what is known to be in them.

Sentences without audio teach how people tell what is heard; these scenes, what may be claimed of
what the model itself hears: its doubts and its mistakes are in no simulated event. Every sample is
a function of the seed and its index alone.

Shapes: S and R samples, T frames, K kinds, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.captioner import CaptionerModel
from training.samples.canvases import LENGTH, Lies
from training.samples.collate import Sample
from training.samples.differences import Differences
from training.samples.frames import Heard
from training.samples.tracks import KINDS

ALONE = 0.5
"""Of the scenes, those without a reference."""
MOST = 3
"""Sounds of a scene."""
SILENCE = KINDS["Silence"]
SURE = 0.5
"""What the teacher is as sure of is in a scene that no label tells of."""


class Scenes(Dataset[Sample]):
    """Canvases with and without references, and what is in what the references have not."""

    def __init__(self, differences: Differences, *, seed: int) -> None:
        """The seed of ``differences`` is not used."""
        self.differences = differences
        self.canvases = differences.canvases
        self.seed = seed
        self.labels = [
            sorted({KINDS[label] for label in recording.labels if label in KINDS})
            for recording in self.canvases.store.recordings
        ]

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], ``reference`` [R] or None, ``wanted`` [3, K] bool, ``heard`` [K].

        Each row of ``wanted`` holds the labels of one sound, any of which names it; ``heard`` is
        the teacher's opinion of all of it, 1 for what the reference holds as well.
        """
        rng = np.random.default_rng((self.seed, 61, index))
        if rng.random() < ALONE:
            canvas, placed = self.canvases.canvas(rng)
            opinion = self.canvases.opinion(canvas, placed)
            return {
                "input": self.canvases.recorded(canvas, rng),
                "reference": None,
                **self.known(placed, opinion),
            }
        pair = self.differences.pair(rng)
        opinion = self.differences.target(pair.rest, pair.other)
        return {
            "input": self.canvases.recorded(pair.input, rng),
            "reference": self.canvases.recorded(pair.reference[:LENGTH], rng),
            **self.known(pair.rest[1] if pair.rest else (), opinion),
        }

    def known(self, placed: Sequence[Lies], opinion: Mapping[str, Tensor]) -> Sample:
        """``wanted`` and ``heard``."""
        heard = torch.maximum(opinion["clip"], opinion["windows"].amax(dim=0))
        wanted = torch.zeros(MOST, len(KINDS), dtype=torch.bool)
        labels = [self.labels[number] for number, _, _ in placed if number >= 0]
        heard[SILENCE] = 0  # of hardly anything the teacher says so; it is no sound to be told
        if not labels and heard.max() > SURE:
            labels = [[int(heard.argmax())]]
        for row, kinds in zip(wanted, labels, strict=False):
            row[kinds] = True
        if "weights" in opinion:
            heard = torch.where(opinion["weights"] == 0, 1, heard)
        return {"wanted": wanted, "heard": heard}


class Left(Heard):
    """Scenes as the events that the model hears in them, or that its diff block leaves."""

    def __init__(self, scenes: Dataset[Sample], captioner: CaptionerModel, *, visits: int) -> None:
        super().__init__(scenes, captioner.encoder, visits=visits)
        self.captioner = captioner

    @torch.no_grad()
    def _hear(self, sample: Sample) -> Sample:
        """``input`` [T, K] in place of waveforms, ``compared`` bool."""
        self.captioner.train(False)
        events = self.captioner.events
        assert events is not None
        reference = sample["reference"]
        assert sample["input"] is not None
        heard = self.captioner.encode_clips(
            [one for one in (sample["input"], reference) if one is not None]
        )
        left = heard[0].frames
        if reference is not None:
            left = self.captioner.difference(heard[0], heard[1]).memory
        rest = {name: value for name, value in sample.items() if name != "reference"}
        return rest | {
            "input": events.probabilities(left)[0],
            "compared": torch.tensor(reference is not None),
        }


class Claims(Dataset[Sample]):
    """By turns a scene and a sentence: how it is told is not to be forgotten."""

    def __init__(self, scenes: Dataset[Sample], sentences: Dataset[Sample]) -> None:
        """``scenes`` as :class:`Left` has them."""
        self.scenes = scenes
        self.sentences = sentences

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, K], ``compared`` bool, ``scene`` bool; and of a scene ``wanted`` [3, K] and
        ``heard`` [K], of a sentence ``tokens`` [L]."""
        number, sentence = divmod(index, 2)
        if sentence:
            blank = torch.zeros(MOST + 1, len(KINDS), dtype=torch.bool)
            return {
                **self.sentences[number],
                "wanted": blank[1:],
                "heard": blank[0].half(),
                "scene": torch.tensor(False),
            }
        return {
            **self.scenes[number],
            "tokens": torch.zeros(0, dtype=torch.long),
            "scene": torch.tensor(True),
        }
