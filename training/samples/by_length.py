"""Batches of captions of about one length."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch.utils.data import Dataset

from training.samples.collate import Sample

WINDOW = 16
"""Batches among whose samples those of one length are looked for."""


class ByLength(Dataset[Sample]):
    """The samples of a data set in another order, in which each batch needs little padding.

    Padded to the longest of any sixteen captions, a third of what a decoder reads is padding. A
    sample is still a function of its index alone.
    """

    def __init__(self, samples: Dataset[Sample], batch_size: int, *, seed: int) -> None:
        """``samples`` have ``tokens``, and are as many as are asked for."""
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self._window = lru_cache(maxsize=1)(self._sorted)

    def __getitem__(self, index: int) -> Sample:
        """One of those of its window."""
        window, place = divmod(index, WINDOW * self.batch_size)
        return self._window(window)[place]

    def _sorted(self, window: int) -> list[Sample]:
        """By length, in batches whose order is drawn."""
        first = window * WINDOW * self.batch_size
        drawn = [self.samples[first + n] for n in range(WINDOW * self.batch_size)]
        drawn.sort(key=_length)
        order = np.random.default_rng((self.seed, window)).permutation(WINDOW)
        starts = [self.batch_size * int(batch) for batch in order]
        return [one for start in starts for one in drawn[start : start + self.batch_size]]


def _length(sample: Sample) -> int:
    tokens = sample["tokens"]
    assert tokens is not None
    return len(tokens)
