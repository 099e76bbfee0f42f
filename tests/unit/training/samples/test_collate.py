"""One batch out of samples of any kind: what is padded, what is stacked, whose is what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from training.samples.collate import collate


def item(samples: int, reference: int | None, tokens: Sequence[int]) -> dict[str, Any]:
    return {
        "input": torch.arange(1.0, samples + 1),
        "reference": None if reference is None else torch.arange(1.0, reference + 1),
        "tokens": torch.tensor(tokens),
    }


def test_collate_pads_and_says_whose_the_references_are() -> None:
    batch = collate([item(4, 2, [0, 7, 2]), item(3, None, [0, 2]), item(4, 3, [0, 8, 9, 2])])
    assert batch["inputs"].tolist() == [[1, 2, 3, 4], [1, 2, 3, 0], [1, 2, 3, 4]]
    assert batch["lengths"].tolist() == [4, 3, 4]
    assert batch["tokens"].tolist() == [[0, 7, 2, 1], [0, 2, 1, 1], [0, 8, 9, 2]]
    assert batch["references"].tolist() == [[1, 2, 0], [1, 2, 3]]
    assert batch["reference_lengths"].tolist() == [2, 3]
    assert batch["reference_of"].tolist() == [0, 2]


def test_collate_without_references() -> None:
    batch = collate([item(4, None, [0, 2]), item(4, None, [0, 2])])
    assert batch["references"].shape == (0, 4)
    assert batch["references"].dtype == torch.float32
    for key in ("reference_lengths", "reference_of"):
        assert batch[key].shape == (0,)
        assert batch[key].dtype == torch.int64


def test_collate_pads_kept_frames_along_time() -> None:
    one, two = torch.ones(3, 2), 2 * torch.ones(1, 2)
    batch = collate([{"input": one, "reference": None}, {"input": two, "reference": one}])
    assert batch["inputs"].tolist() == [[[1, 1]] * 3, [[2, 2], [0, 0], [0, 0]]]
    assert batch["lengths"].tolist() == [3, 1]
    assert batch["references"].tolist() == [[[1, 1]] * 3]
    assert batch["reference_of"].tolist() == [1]
    assert collate([{"input": one, "reference": None}])["references"].shape == (0, 3, 2)


def test_collate_stacks_targets_under_their_own_name() -> None:
    targets = torch.arange(12.0).reshape(2, 3, 2)
    batch = collate([{"input": torch.zeros(5), "active": each} for each in targets])
    assert batch.keys() == {"inputs", "lengths", "active"}
    assert torch.equal(batch["active"], targets)
