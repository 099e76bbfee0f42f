"""Cnn14: a clip's frames do not depend on its neighbours in the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.encoders import cnn14
from model.encoders.cnn14 import Cnn14

LENGTHS = (1650, 150, 199, 200, 349, 350, 777, 1649, 151)
"""The shortest clip, odd ones, and both sides of an encoder frame's edge."""
Pad = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]


@pytest.fixture
def encoder(model: CaptionerModel) -> Cnn14:
    return model.encoder


@pytest.fixture
def clips(sound: Callable[..., Tensor]) -> list[Tensor]:
    return [sound(length) for length in LENGTHS]


def alone(encoder: Cnn14, clip: Tensor) -> Tensor:
    frames: Tensor = encoder(clip[None], torch.tensor([len(clip)])).frames
    return frames


def apart(encoder: Cnn14, clips: Sequence[Tensor], pad: Pad) -> float:
    """How far, at most, a clip's frames in one padded batch are from those it gives alone."""
    batch = encoder(*pad(clips)).split()
    pairs = zip(batch, clips, strict=True)
    return max(float((row.frames - alone(encoder, clip)).abs().max()) for row, clip in pairs)


def test_padding_changes_no_frame(encoder: Cnn14, clips: list[Tensor], pad: Pad) -> None:
    assert min(alone(encoder, clip).std() for clip in clips) > 0.05
    assert apart(encoder, clips, pad) < 1e-5


def in_a_row(encoder: Cnn14, clips: Sequence[Tensor]) -> list[Tensor]:
    return encoder.in_a_row([encoder.front_end(clip[None])[0] for clip in clips])


def apart_in_a_row(encoder: Cnn14, clips: Sequence[Tensor]) -> float:
    """How far, at most, a clip's frames in one row are from those it gives alone."""
    rows = in_a_row(encoder, clips)
    pairs = [(row, alone(encoder, clip)[0]) for row, clip in zip(rows, clips, strict=True)]
    assert [row.shape for row, _ in pairs] == [other.shape for _, other in pairs]
    return max(float((row - other).abs().max()) for row, other in pairs)


def test_clips_in_a_row_do_not_hear_each_other(
    encoder: Cnn14, sound: Callable[..., Tensor]
) -> None:
    hop, pool = encoder.front_end.hop, encoder.time_pool
    # Every remainder that a clip can leave of its last frame, beside loud neighbours.
    clips = [10 * sound(hop * (2 * pool + rest), seed=rest) for rest in range(2 * pool)]
    assert apart_in_a_row(encoder, clips) < 1e-4
    assert apart_in_a_row(encoder, clips[::-1]) < 1e-4
    assert apart_in_a_row(encoder, clips[:1]) < 1e-4


def test_without_the_gaps_they_would(
    encoder: Cnn14, clips: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apart_in_a_row(encoder, clips) < 1e-5
    monkeypatch.setattr(cnn14, "_silence", lambda x, _: x)
    assert apart_in_a_row(encoder, clips) > 0.1


@pytest.mark.parametrize("fixed", [8, 14])
def test_clips_of_a_fixed_length_stand_in_a_row_too(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, monkeypatch: pytest.MonkeyPatch, fixed: int
) -> None:
    monkeypatch.setattr(encoder, "fixed_frames", fixed)
    expected = encoder(*pad(clips)).split()
    for row, other in zip(in_a_row(encoder, clips), expected, strict=True):
        torch.testing.assert_close(row, other.frames[0], rtol=1e-5, atol=1e-5)


def test_rows_are_of_few_lengths() -> None:
    rows = {count: cnn14._round_up(count) for count in range(1, 1025)}
    assert all(count <= row <= 1.125 * count for count, row in rows.items())
    assert len({row for row in rows.values() if 512 < row <= 1024}) == 8


def test_order_of_the_batch_does_not_matter(encoder: Cnn14, clips: list[Tensor], pad: Pad) -> None:
    order = [3, 0, 8, 5, 1, 7, 2, 6, 4]
    rows = encoder(*pad(clips)).split()
    shuffled = encoder(*pad([clips[row] for row in order])).split()
    for row, again in zip(order, shuffled, strict=True):
        torch.testing.assert_close(again.frames, rows[row].frames, rtol=1e-5, atol=1e-5)


def test_without_the_masks_padding_would_matter(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cnn14, "_silence", lambda x, _: x)
    assert apart(encoder, clips, pad) > 0.1


def test_without_the_mask_inside_a_block_padding_would_matter(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = cnn14.ConvBlock.forward
    monkeypatch.setattr(cnn14.ConvBlock, "forward", lambda block, x, _: forward(block, x, None))
    assert apart(encoder, clips, pad) > 0.1


def test_mask_counts_whole_frames(encoder: Cnn14, clips: list[Tensor], pad: Pad) -> None:
    samples, lengths = pad(clips)
    mask = encoder(samples, lengths).mask
    expected = (1 + lengths // 50) // 4
    assert mask.sum(1).tolist() == expected.tolist()
    assert torch.equal(mask, torch.arange(mask.shape[1]) < expected[:, None])
    assert encoder.frame_s == 4 * 50 / 8000


def test_shortest_clip_gives_one_frame(encoder: Cnn14, sound: Callable[..., Tensor]) -> None:
    shortest = encoder.min_samples
    assert alone(encoder, sound(shortest)).shape[1] == 1
    both = torch.stack([sound(1000), torch.zeros(1000)])
    assert encoder(both, torch.tensor([1000, shortest - 1])).mask[1].sum() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_folded_norms_say_the_same(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, dtype: torch.dtype
) -> None:
    expected = encoder(*pad(clips)).frames
    scale = expected.abs().max()
    folded = deepcopy(encoder)
    for block in folded.blocks:
        block.conv1.to(dtype)
        block.conv2.to(dtype)
    folded.fold_norms()
    assert not [part for part in folded.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert {block.conv1.weight.dtype for block in folded.blocks} == {dtype}
    far = (folded(*pad(clips)).frames - expected).abs().max() / scale
    assert far < {torch.float32: 1e-6, torch.float16: 3e-3}[dtype]


def test_running_statistics_are_used_and_kept(
    encoder: Cnn14, clips: list[Tensor], pad: Pad
) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder(*pad(clips))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
