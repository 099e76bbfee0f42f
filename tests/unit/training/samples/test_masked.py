"""Stripes of kept frames are masked in training."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from training.samples.collate import Sample
from training.samples.masked import LONGEST, STRIPES, WIDEST, Masked

FRAMES, FEATURES = 60, 40


class Ones(Dataset[Sample]):
    def __init__(self) -> None:
        self.kept = torch.ones(FRAMES, FEATURES)

    def __getitem__(self, index: int) -> Sample:
        return {"input": self.kept, "reference": None, "tokens": torch.tensor([index])}


def test_stripes_are_masked_in_time_and_in_features() -> None:
    samples = Ones()
    masked = Masked(samples, seed=0)
    frames, features = [], []
    for index in range(200):
        sample = masked[index]
        assert sample["tokens"] is not None
        assert int(sample["tokens"]) == index
        heard = sample["input"]
        assert heard is not None
        lost, gone = (heard == 0).all(dim=1), (heard == 0).all(dim=0)
        assert torch.equal(heard == 0, lost[:, None] | gone), "whole frames, whole features"
        frames.append(int(lost.sum()))
        features.append(int(gone.sum()))
    assert min(frames) == min(features) == 0
    assert max(frames) == STRIPES * round(LONGEST * FRAMES)
    assert STRIPES * round(WIDEST * FEATURES) - 1 <= max(features) <= STRIPES * WIDEST * FEATURES
    assert samples.kept.all(), "what is kept stays as it is"


def test_a_sample_is_a_function_of_seed_and_index() -> None:
    def heard(seed: int, index: int) -> torch.Tensor:
        found = Masked(Ones(), seed=seed)[index]["input"]
        assert found is not None
        return found

    assert torch.equal(heard(0, 3), heard(0, 3))
    assert not torch.equal(heard(0, 3), heard(1, 3))
    assert not torch.equal(heard(0, 3), heard(0, 4))
