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


def apart_packed(encoder: Cnn14, clips: Sequence[Tensor]) -> float:
    """How far, at most, a clip's frames in one pack are from those it gives alone."""
    packed = encoder.encode(clips)
    pairs = [(one, alone(encoder, clip)[0]) for one, clip in zip(packed, clips, strict=True)]
    assert [one.shape for one, _ in pairs] == [other.shape for _, other in pairs]
    return max(float((one - other).abs().max()) for one, other in pairs)


def test_packed_clips_do_not_hear_each_other(encoder: Cnn14, sound: Callable[..., Tensor]) -> None:
    hop, pool = encoder.front_end.hop, encoder.time_pool
    # Every remainder that a clip can leave of its last frame, beside loud neighbours.
    clips = [10 * sound(hop * (2 * pool + rest), seed=rest) for rest in range(2 * pool)]
    assert apart_packed(encoder, clips) < 1e-4
    assert apart_packed(encoder, clips[::-1]) < 1e-4
    assert apart_packed(encoder, clips[:1]) < 1e-4


def test_without_the_gaps_they_would(
    encoder: Cnn14, clips: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apart_packed(encoder, clips) < 1e-5
    monkeypatch.setattr(cnn14, "_masked", lambda x, _: x)
    assert apart_packed(encoder, clips) > 0.1


@pytest.mark.parametrize("fixed", [8, 14])
def test_clips_of_a_fixed_length_are_packed_too(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, monkeypatch: pytest.MonkeyPatch, fixed: int
) -> None:
    monkeypatch.setattr(encoder, "fixed_frames", fixed)
    expected = encoder(*pad(clips)).split()
    for one, other in zip(encoder.encode(clips), expected, strict=True):
        torch.testing.assert_close(one, other.frames[0], rtol=1e-5, atol=1e-5)


def test_packs_are_of_few_lengths() -> None:
    packs = {count: cnn14._round_up(count) for count in range(1, 1025)}
    assert all(count <= pack <= 1.125 * count for count, pack in packs.items())
    assert len({pack for pack in packs.values() if 512 < pack <= 1024}) == 8


def test_a_cpu_packs_as_many_clips_as_its_buffer_holds(
    encoder: Cnn14, sound: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [sound(length) for length in (1600, 1500, 1400, 1300, 800)]
    together = encoder.encode(clips)
    packs: list[int] = []
    packed = encoder.packed
    monkeypatch.setattr(
        encoder, "packed", lambda clips: (packs.append(len(clips)), packed(clips))[1]
    )
    frames = [1 + len(clip) // 50 for clip in clips]
    frame_bytes = 8 * 3 * 4  # bands, channels of the first block, float32
    for room, expected in ((sum(frames), [5]), (sum(frames[:2]), [2, 2, 1]), (1, [1] * 5)):
        packs.clear()
        monkeypatch.setattr(cnn14, "_CPU_BUFFER", room * frame_bytes)
        for one, other in zip(encoder.encode(clips), together, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert packs == expected


def test_nothing_is_encoded_of_no_clips(encoder: Cnn14) -> None:
    assert encoder.encode([]) == []


def test_order_of_the_batch_does_not_matter(encoder: Cnn14, clips: list[Tensor], pad: Pad) -> None:
    order = [3, 0, 8, 5, 1, 7, 2, 6, 4]
    rows = encoder(*pad(clips)).split()
    shuffled = encoder(*pad([clips[row] for row in order])).split()
    for row, again in zip(order, shuffled, strict=True):
        torch.testing.assert_close(again.frames, rows[row].frames, rtol=1e-5, atol=1e-5)


def test_without_the_masks_padding_would_matter(
    encoder: Cnn14, clips: list[Tensor], pad: Pad, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cnn14, "_masked", lambda x, _: x)
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
