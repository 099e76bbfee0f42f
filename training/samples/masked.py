"""SpecAugment on what a frozen encoder has heard (Park et al. 2019).

EDTC masks every encoder's log-mels, which takes a pass of each encoder at every visit of a clip.
Where clips are heard once, stripes of their frames are masked, in time and in features: the shares
are those that torchlibrosa masks of ten seconds of 64 mels.

Shapes: T frames, D features.
"""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from training.samples.collate import Sample

STRIPES = 2
"""In time, and as many in features."""
LONGEST, WIDEST = 1 / 15, 1 / 8
"""Of the frames and of the features, the most that a stripe covers."""


class Masked(Dataset[Sample]):
    """Samples whose ``input`` [T, D] has stripes of zeros; a function of the seed and the index."""

    def __init__(self, samples: Dataset[Sample], *, seed: int) -> None:
        self.samples = samples
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """The sample, its ``input`` masked; those that were kept stay as they are."""
        sample = self.samples[index]
        frames = sample["input"]
        assert frames is not None
        rng = np.random.default_rng((self.seed, 71, index))
        masked = frames.clone()
        for _ in range(STRIPES):
            masked[_stripe(len(frames), LONGEST, rng)] = 0
            masked[:, _stripe(frames.shape[1], WIDEST, rng)] = 0
        return {**sample, "input": masked}


def _stripe(size: int, most: float, rng: np.random.Generator) -> slice:
    """Of nothing up to ``most`` of ``size``."""
    length = int(rng.integers(round(most * size) + 1))
    start = int(rng.integers(size - length + 1))
    return slice(start, start + length)
