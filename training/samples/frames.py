"""Clips, mixtures and references as the frames that a frozen encoder was kept from.

Shapes: B clips, T frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.types import Encoded
from training.captions.lexicon import normalize_caption
from training.captions.tokenizer import tokenize
from training.datasets.recording import CaptionedClip
from training.samples.collate import Sample
from training.samples.features import Features

CONJUNCTION = "and"
"""What AL-MixGen joins two captions by."""


class KeptFrames(nn.Module):
    """Fills the encoder's slot where the encoder's frames come in, instead of waveforms."""

    def forward(self, frames: Tensor, lengths: Tensor) -> Encoded:
        """[B, T, D], zero beyond ``lengths`` [B] -> the same, with its mask."""
        places = torch.arange(frames.shape[1], device=lengths.device)
        return Encoded(frames, places < lengths[:, None])


class FrameSamples(Dataset[Sample]):
    """Every clip once an epoch, in an order and with a caption and a mixture of its own.

    A sample is a function of the seed and its index alone.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        features: Features,
        tokenizer: PreTrainedTokenizerFast,
        *,
        condition: str | None,
        reference_share: float,
        mixgen_share: float,
        seed: int,
    ) -> None:
        """``reference_share`` of the samples are mixtures under ``condition``, with a reference.

        ``mixgen_share`` of them are two clips at once, their captions joined (AL-MixGen).
        """
        self.clips = clips
        self.features = features
        self.tokenizer = tokenizer
        self.mixtures = features.mixed[condition] if condition else None
        self.reference_share = reference_share
        self.mixgen_share = mixgen_share
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, D], ``reference`` [T, D] or None, ``tokens`` [L]."""
        epoch, place = divmod(index, len(self.clips))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.clips))
        clip = int(order[place])
        rng = np.random.default_rng((self.seed, epoch, clip))
        caption = self._caption(clip, rng)
        heard, reference = self.features.clips[clip], None
        choice = rng.random()
        if self.mixtures and choice < self.reference_share:
            drawn = self.mixtures[clip]
            mixed = drawn[rng.integers(len(drawn))]
            heard, reference = mixed.input, mixed.reference
        elif choice < self.mixgen_share:
            joined = self.features.joined[clip]
            other, heard = joined[rng.integers(len(joined))]
            caption = f"{caption} {CONJUNCTION} {self._caption(other, rng)}"
        return {
            "input": self.features.tensor(heard),
            "reference": None if reference is None else self.features.tensor(reference),
            "tokens": tokenize(self.tokenizer, caption),
        }

    def _caption(self, clip: int, rng: np.random.Generator) -> str:
        captions = self.clips[clip].captions
        return normalize_caption(captions[rng.integers(len(captions))])
