"""Levels of frames: in decibels, band by band, of what is sound."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.levels import Levels
from model.measures import MIDDLE_DB, SILENT_DB, STEP_DB, measure

RATE, FRAME = 16_000, 5120


def decibels(levels: Levels, samples: Tensor, frames: int) -> Tensor:
    """[T, bands] in dB."""
    found = levels(samples[None], torch.tensor([len(samples)]), frames)
    return found[0] * STEP_DB + MIDDLE_DB


@pytest.fixture
def levels() -> Levels:
    return Levels(bands=8, sample_rate=RATE, frame_s=FRAME / RATE)


def test_the_bands_powers_are_the_clips_power(levels: Levels) -> None:
    noise = 0.1 * torch.randn(4 * FRAME, generator=torch.Generator().manual_seed(0))
    power = (10 ** (decibels(levels, noise, 4) / 10)).sum(dim=1)
    # Half of the lowest and of the highest band's triangle is missing.
    assert ((10 * power.log10() + 20).abs() < 2).all()


def test_a_louder_clip_is_as_many_decibels_louder(levels: Levels) -> None:
    tone = 0.05 * torch.sin(2 * math.pi * 700 * torch.arange(3 * FRAME) / RATE)
    soft, loud = decibels(levels, tone, 3), decibels(levels, tone * 10 ** (9 / 20), 3)
    heard = soft > SILENT_DB + 1
    assert heard.any(dim=1).all()
    assert not heard.all()
    torch.testing.assert_close((loud - soft)[heard], torch.full_like(soft[heard], 9.0))


def test_a_frame_is_as_loud_as_what_of_it_is_sound(levels: Levels) -> None:
    noise = 0.1 * torch.randn(2 * FRAME, generator=torch.Generator().manual_seed(0))
    whole, cut = decibels(levels, noise, 2), decibels(levels, noise[: FRAME + FRAME // 2], 2)
    torch.testing.assert_close(cut[0], whole[0])
    assert (cut[1] - whole[1]).abs().max() < 3


def test_silence_has_a_level(levels: Levels) -> None:
    assert decibels(levels, torch.zeros(FRAME), 1).eq(SILENT_DB).all()


def test_a_captioner_with_such_a_block_hears_them_in_a_batch_as_alone(
    make_model: Callable[..., CaptionerModel],
    sound: Callable[..., Tensor],
    pad: Callable[..., tuple[Tensor, Tensor]],
) -> None:
    model = make_model("concentrated")
    clips = [sound(1650, 1), sound(900, 2)]
    together = model.encode(*pad(clips)).split()
    for one, other in zip(model.encode_clips(clips), together, strict=True):
        assert one.levels is not None
        assert other.levels is not None
        torch.testing.assert_close(one.levels, other.levels)
    (loud,) = model.encode_clips([2 * clips[0]])
    assert loud.levels is not None
    assert together[0].levels is not None
    assert (loud.levels - together[0].levels).mean() > 0.4


def test_what_is_measured_of_the_whole_stands_behind_the_levels_of_each_frame() -> None:
    whole = Levels(bands=8, sample_rate=RATE, frame_s=FRAME / RATE, whole=True)
    clips = torch.randn(2, 3 * FRAME) * torch.tensor([[0.1], [0.01]])
    clips[1, FRAME:] = 0
    lengths = torch.tensor([3 * FRAME, FRAME])
    found = whole(clips, lengths, 3)
    assert found.shape == (2, 3, whole.width)
    for clip, length, row in zip(clips, lengths.tolist(), found, strict=True):
        wanted = measure(clip[:length].numpy(), RATE).scaled
        torch.testing.assert_close(row[:, 8:], torch.tensor(wanted).expand(3, -1))
    alone = Levels(bands=8, sample_rate=RATE, frame_s=FRAME / RATE)
    assert torch.equal(found[:, :, :8], alone(clips, lengths, 3))
