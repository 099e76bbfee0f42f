"""Batches of captions of about one length: every sample once, the same when resumed."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from training.samples.by_length import WINDOW, ByLength
from training.samples.collate import Sample

BATCH = 4
SIZE = WINDOW * BATCH


class Numbered(Dataset[Sample]):
    """Captions of 5 to 40 tokens, each of which is the sample's number."""

    def __init__(self) -> None:
        self.asked = 0

    def __getitem__(self, index: int) -> Sample:
        self.asked += 1
        length = int(np.random.default_rng(index).integers(5, 40))
        return {"tokens": torch.full((length,), index)}


def number(sample: Sample) -> int:
    assert sample["tokens"] is not None
    return int(sample["tokens"][0])


def longest(samples: list[Sample]) -> int:
    return max(len(each["tokens"]) for each in samples if each["tokens"] is not None)


def test_each_window_has_each_of_its_samples_once() -> None:
    plain = Numbered()
    data = ByLength(plain, BATCH, seed=0)
    drawn = [number(data[index]) for index in range(3 * SIZE)]
    assert plain.asked == 3 * SIZE, "each was made once"
    for first in range(0, 3 * SIZE, SIZE):
        assert sorted(drawn[first : first + SIZE]) == [*range(first, first + SIZE)]
    assert drawn != sorted(drawn)


def test_a_batch_is_of_about_one_length_and_short_ones_do_not_come_first() -> None:
    data = ByLength(Numbered(), BATCH, seed=0)
    batches = [[data[start + n] for n in range(BATCH)] for start in range(0, 4 * SIZE, BATCH)]
    tokens = sum(
        len(each["tokens"]) for one in batches for each in one if each["tokens"] is not None
    )
    padded = sum(BATCH * longest(one) for one in batches)
    assert padded < 1.1 * tokens
    first = [longest(batches[window * WINDOW]) for window in range(4)]
    assert len({*first}) > 1


def test_whoever_goes_on_later_gets_the_same() -> None:
    whole, resumed = (ByLength(Numbered(), BATCH, seed=3) for _ in range(2))
    expected = [number(whole[index]) for index in range(2 * SIZE)]
    assert [number(resumed[index]) for index in range(SIZE + 5, 2 * SIZE)] == expected[SIZE + 5 :]
    other = ByLength(Numbered(), BATCH, seed=4)
    assert [number(other[index]) for index in range(2 * SIZE)] != expected
