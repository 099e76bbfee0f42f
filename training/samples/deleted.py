"""Captions of which tokens are missing, for BART's pretraining (``losses.denoising``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from training.captions.tokenizer import tokenize
from training.samples.collate import Sample

LEAST, MOST = 0.15, 0.9
"""Of a caption's tokens: a few are missing, or nearly all."""


class Deleted(Dataset[Sample]):
    """A caption, and what is left of it. A sample is a function of the seed and its index alone."""

    def __init__(
        self, captions: Sequence[str], tokenizer: PreTrainedTokenizerFast, *, seed: int
    ) -> None:
        self.captions = captions
        self.tokenizer = tokenizer
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``tokens`` [L] and ``left_tokens`` [L' <= L], start and end among them."""
        rng = np.random.default_rng((self.seed, 67, index))
        tokens = tokenize(self.tokenizer, self.captions[int(rng.integers(len(self.captions)))])
        left = rng.random(len(tokens)) >= rng.uniform(LEAST, MOST)
        left[[0, -1]] = True
        return {"tokens": tokens, "left_tokens": tokens[torch.from_numpy(left)]}
