"""Level is not content: how loud a clip is and where its zero lies change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.encoders.level import MAX_GAIN_DB, SILENT_DB, TARGET_DB, level

RATE = 8000


def clip(seconds: float = 1.3, loud_db: float = -20.0) -> Tensor:
    """[S]: noise with a burst in it."""
    samples = torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(0))
    samples[: len(samples) // 3] *= 0.1
    return samples * 10 ** (loud_db / 20)


def levelled(samples: Tensor) -> Tensor:
    return level(samples[None], torch.tensor([len(samples)]), RATE)[0]


@pytest.mark.parametrize("gain_db", [-40, 0, 20])
def test_gain_and_offset_change_nothing(gain_db: float) -> None:
    expected = levelled(clip())
    louder = clip() * 10 ** (gain_db / 20)
    torch.testing.assert_close(levelled(louder), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(levelled(louder + 0.3), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(levelled(-louder), -expected, rtol=1e-4, atol=1e-5)


def test_the_loudest_half_second_is_at_the_target() -> None:
    blocks = levelled(clip(2.0)).view(-1, RATE // 2)
    loudest = 10 * torch.log10(blocks.square().mean(dim=1).max())
    assert loudest.item() == pytest.approx(TARGET_DB, abs=0.1)


def test_near_silence_stays_soft() -> None:
    faint = clip(loud_db=-78)
    found = levelled(faint)
    gain = MAX_GAIN_DB
    torch.testing.assert_close(found, (faint - faint.mean()) * 10 ** (gain / 20))
    assert 10 * torch.log10(found.square().mean()) < TARGET_DB - 3


def test_the_noise_of_storage_is_silence() -> None:
    assert levelled(clip(loud_db=SILENT_DB + 2)).any()
    assert not levelled(clip(loud_db=SILENT_DB - 2)).any()
    assert not levelled(torch.zeros(RATE)).any()
    assert not levelled(torch.full((RATE,), 0.25)).any()


def test_padding_and_neighbours_change_nothing() -> None:
    short, long = clip(0.1), clip(1.7, loud_db=-3)
    samples = torch.zeros(2, len(long) + 77)
    samples[0, : len(short)], samples[1, : len(long)] = short, long
    both = level(samples, torch.tensor([len(short), len(long)]), RATE)
    for row, one in zip(both, (short, long), strict=True):
        torch.testing.assert_close(row[: len(one)], levelled(one), rtol=1e-4, atol=1e-6)
        assert not row[len(one) :].any()


@pytest.mark.parametrize("moved_s", [0.05, 0.1, 0.31])
def test_a_moved_clip_is_as_loud(moved_s: float) -> None:
    moved = torch.cat([torch.zeros(round(moved_s * RATE)), clip() - clip().mean()])
    expected = levelled(clip())
    found = levelled(moved)[len(moved) - len(expected) :]
    apart_db = 10 * torch.log10(found.square().sum() / expected.square().sum())
    assert abs(apart_db.item()) < 0.1
