"""The diff blocks against their equations, written out clip by clip."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from model.captioner import CaptionerModel
from model.difference import Masking, Subtraction
from model.types import Difference, Encoded

MakeEncoded = Callable[..., Encoded]
INPUTS, REFERENCES = (5, 9, 1, 7), (11, 3, 6, 1)


@pytest.fixture
def masking(model: CaptionerModel) -> Masking:
    assert isinstance(model.difference, Masking)
    return model.difference


@pytest.fixture
def pair(make_encoded: MakeEncoded) -> tuple[Encoded, Encoded]:
    """Inputs and references of other lengths, with garbage on the padding."""
    return make_encoded(*INPUTS, seed=1), make_encoded(*REFERENCES, seed=2)


def equations_15_to_18(block: Masking, z_in: Tensor, z_ref: Tensor) -> tuple[Tensor, Tensor]:
    """[T, D], [R, D] -> the mask M and Z_masked, both [T, D]."""
    query, key, value = (
        z @ linear.weight.T + linear.bias
        for z, linear in ((z_in, block.query), (z_ref, block.key), (z_ref, block.value))
    )
    similarity = query @ key.T / math.sqrt(z_in.shape[1])
    weights = similarity.exp() / similarity.exp().sum(dim=1, keepdim=True)
    mask = 1 - 1 / (1 + (-(weights @ value)).exp())
    return mask, mask * z_in


def clips(encoded: Encoded) -> list[Tensor]:
    return [clip.frames[0] for clip in encoded.split()]


def test_masking_is_equations_15_to_18(masking: Masking, pair: tuple[Encoded, Encoded]) -> None:
    found = masking(*pair)
    assert found.kept is not None
    assert torch.equal(found.mask, pair[0].mask)
    for row, (z_in, z_ref) in enumerate(zip(*map(clips, pair), strict=True)):
        mask, masked = equations_15_to_18(masking, z_in, z_ref)
        assert mask.std() > 0.05
        count = len(z_in)
        torch.testing.assert_close(found.memory[row, :count], masked, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.kept[row, :count], mask.mean(1), rtol=1e-4, atol=1e-5)


def test_padded_reference_frames_would_matter_unmasked(
    masking: Masking, pair: tuple[Encoded, Encoded]
) -> None:
    inputs, references = pair
    heard = masking.keep(inputs.frames, references)
    unmasked = Encoded(references.frames, torch.ones_like(references.mask))
    assert (masking.keep(inputs.frames, unmasked) - heard)[1].abs().max() > 0.1


def test_order_of_the_reference_does_not_matter_to_masking(
    masking: Masking, make_encoded: MakeEncoded
) -> None:
    inputs, references = make_encoded(6, seed=1), make_encoded(8, seed=2)
    moved = Encoded(references.frames.roll(3, dims=1), references.mask)
    torch.testing.assert_close(masking(inputs, moved).memory, masking(inputs, references).memory)


def test_a_long_reference_costs_masking_two_products_with_the_input(
    masking: Masking, make_encoded: MakeEncoded
) -> None:
    inputs = make_encoded(4, seed=1)
    width = inputs.frames.shape[2]

    def operations(length: int) -> int:
        references = make_encoded(length, seed=2)
        with FlopCounterMode(display=False) as counter:
            masking(inputs, references)
        return counter.get_total_flops()

    # A multiplication and an addition each, of queries and frames and of weights and frames.
    assert operations(1000) - operations(500) == 2 * 2 * 500 * 4 * width


def test_mask_is_between_0_and_1(masking: Masking, pair: tuple[Encoded, Encoded]) -> None:
    mask = masking.keep(pair[0].frames, pair[1])
    assert mask.shape == pair[0].frames.shape
    assert mask.min() >= 0
    assert mask.max() <= 1


@pytest.mark.parametrize(
    ("inputs", "references"),
    [((6, 6), (6, 6)), ((6, 4), (3, 2)), ((3, 2), (6, 5)), ((6, 2), (2, 6))],
    ids=["aligned", "shorter reference", "longer reference", "one of each"],
)
def test_subtraction_is_equation_14(
    inputs: tuple[int, ...], references: tuple[int, ...], make_encoded: MakeEncoded
) -> None:
    first, second = make_encoded(*inputs, seed=1), make_encoded(*references, seed=2)
    found = Subtraction(width=16)(first, second)
    assert found.kept is None
    assert torch.equal(found.mask, first.mask)
    for row, (z_in, z_ref) in enumerate(zip(clips(first), clips(second), strict=True)):
        z_ref = F.pad(z_ref, (0, 0, 0, max(0, len(z_in) - len(z_ref))))[: len(z_in)]
        torch.testing.assert_close(found.memory[row, : len(z_in)], z_in - z_ref)


def test_subtraction_has_nothing_to_learn() -> None:
    assert not Subtraction(width=16).state_dict()


def test_padding_and_neighbours_change_nothing(
    any_model: CaptionerModel, pair: tuple[Encoded, Encoded]
) -> None:
    batch: Difference = any_model.difference(*pair)
    for row, (first, second) in enumerate(zip(*(side.split() for side in pair), strict=True)):
        alone: Difference = any_model.difference(first, second)
        count = alone.memory.shape[1]
        torch.testing.assert_close(batch.memory[row, :count], alone.memory[0], rtol=1e-4, atol=1e-5)
