"""What a caption may claim: scenes as the model hears them, and the best of what it says of them.

Sentences without audio teach how people tell what is heard; these scenes, what may be claimed of
what the model itself hears: its doubts and its mistakes are in no simulated event. The model says
several things of a scene, and learns from those that are so (expert iteration; Anthony et al. 2017,
and as best-of-n of language models).

Shapes: S and R samples, T frames, K kinds, N captions, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.decoders import BartDecoder
from training.captions.naming import Labels
from training.captions.ontology import EVENTS
from training.captions.tokenizer import PAD
from training.captions.worth import worth
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
SURE, HEARD = 0.5, 0.25
"""What the teacher is as sure of is in a scene that no label tells of; or is no false claim."""
BEAMS, DRAWS = 8, 8
"""Captions of a scene: the likeliest, and some drawn as likely as they are."""
DRAWN = 0.3
"""What one that was drawn is worth less: it is seldom as well put."""
SPREAD = 0.15
"""A caption worth so much more is e times as likely to be learned from."""
UNENDED = -9.0
TURNS = 3
"""One sample in so many is a sentence."""
LONGEST = 30
"""Tokens of a caption."""


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


class Told(Heard):
    """Scenes as the events that the model is left with, and what it says of them."""

    def __init__(
        self,
        scenes: Dataset[Sample],
        captioner: CaptionerModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        visits: int,
        search: Mapping[str, int],
    ) -> None:
        """``search``: the decoder's settings, as the model will be served with."""
        super().__init__(scenes, captioner.encoder, visits=visits)
        self.captioner = captioner
        self.tokenizer = tokenizer
        self.search = search

    @torch.no_grad()
    def _hear(self, sample: Sample) -> Sample:
        """``input`` [T, K] in place of waveforms, ``compared`` bool, ``captions`` [N, L], each at
        least once, the drawn ones last, and their ``worth`` [N]."""
        model = self.captioner.train(False)
        assert model.events is not None
        assert isinstance(model.decoder, BartDecoder)
        clips = [one for one in (sample["input"], sample["reference"]) if one is not None]
        heard = model.encode_clips(clips)
        rows = torch.zeros(len(heard) - 1, dtype=torch.long)
        left = model.compare(heard[0], heard[-1].take(rows.tolist()), rows)
        assert left.events is not None
        likeliest = model.decoder.generate(
            left,
            num_beams=BEAMS,
            num_captions=BEAMS,
            max_new_tokens=LONGEST,
            length_penalty=1.0,
            early_stopping=False,
            **self.search,
        ).tokens[0]
        drawn = model.decoder.sample(left, DRAWS, LONGEST)[0]
        captions = pad_sequence([*likeliest, *drawn], batch_first=True, padding_value=PAD)
        compared = len(clips) > 1
        return {
            "input": left.events[0],
            "compared": torch.tensor(compared),
            "captions": captions,
            "worth": self._worth(captions, sample, compared),
        }

    def _worth(self, captions: Tensor, sample: Sample, compared: bool) -> Tensor:
        """[N]; of one that does not come to its end, nearly nothing is learned."""
        assert sample["wanted"] is not None
        assert sample["heard"] is not None
        wanted = tuple(_labels(row) for row in sample["wanted"] if row.any())
        heard = _labels(sample["heard"] > HEARD)
        texts = self.tokenizer.batch_decode(captions, skip_special_tokens=True)
        each = torch.tensor([worth(text, wanted, heard, compared=compared) for text in texts])
        ends = (captions == self.tokenizer.eos_token_id).any(dim=1)
        each[BEAMS:] -= DRAWN
        return each.masked_fill(~ends, UNENDED)


class Claims(Dataset[Sample]):
    """Captions of scenes, the better the likelier; and sentences: how one tells is not to be
    forgotten."""

    def __init__(self, scenes: Dataset[Sample], sentences: Dataset[Sample], *, seed: int) -> None:
        """``scenes`` as :class:`Told` has them."""
        self.scenes = scenes
        self.sentences = sentences
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, K], ``compared`` bool, ``tokens`` [L]."""
        number, turn = divmod(index, TURNS)
        if turn == TURNS - 1:
            return self.sentences[number]
        scene = self.scenes[number * (TURNS - 1) + turn]
        assert scene["worth"] is not None
        assert scene["captions"] is not None
        rng = np.random.default_rng((self.seed, 62, index))
        likely = (scene["worth"] / SPREAD).softmax(0).double().numpy()
        tokens = scene["captions"][rng.choice(len(likely), p=likely / likely.sum())]
        return {
            "input": scene["input"],
            "compared": scene["compared"],
            "tokens": tokens[tokens != PAD],
        }


def _labels(kinds: Tensor) -> Labels:
    return tuple(EVENTS[kind] for kind in kinds.nonzero()[:, 0].tolist())
