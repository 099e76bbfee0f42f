"""Frames to stretches: where they end, what they bridge, and that it is all one how they come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.entries import Entries, Stretch
from model.events import SILENCE

FRAME_S = 0.5
LABELS = ("Dog", "Rain", "Bell", SILENCE)
DOG, RAIN, BELL, QUIET = torch.eye(4) * 0.9
NOTHING = torch.zeros(4)


def stretches(events: Sequence[Tensor], step: int = 1000) -> list[Stretch]:
    """Of frames that come so many at a time, whose feature is their number."""
    entries = Entries(LABELS, FRAME_S)
    found: list[Stretch] = []
    numbers = torch.arange(len(events)).float()[:, None]
    for at in range(0, len(events), step):
        part = slice(at, at + step)
        found += entries.add(numbers[part], torch.stack([*events])[part])
    found += entries.finish()
    assert entries.settled_s == len(events) * FRAME_S
    return found


def places(events: Sequence[Tensor], step: int = 1000) -> list[tuple[int, int]]:
    return [(one.start, one.end) for one in stretches(events, step)]


def test_silence_lies_between_and_is_no_stretch() -> None:
    quiet = [QUIET] * 6
    assert places([*quiet, *[DOG] * 3, *quiet, *[RAIN] * 2, *quiet]) == [(6, 9), (15, 17)]
    assert places([NOTHING] * 20) == []
    assert places([]) == []


def test_a_pause_is_bridged_and_a_long_one_is_not() -> None:
    assert places([DOG, *[NOTHING] * 4, DOG]) == [(0, 6)]
    assert places([DOG, *[NOTHING] * 5, DOG]) == [(0, 1), (6, 7)]


def test_other_sounds_end_a_stretch_where_they_began_if_they_stay() -> None:
    assert places([*[DOG] * 6, *[RAIN] * 5]) == [(0, 6), (6, 11)]
    assert places([*[DOG] * 6, *[RAIN] * 3, *[DOG] * 6]) == [(0, 15)]
    assert places([*[DOG] * 6, *[RAIN] * 3]) == [(0, 9)]


def test_rain_with_a_dog_in_it_is_rain_and_both_and_rain() -> None:
    rain, both = RAIN / 2.5, RAIN / 2.5 + DOG + BELL
    assert places([*[rain] * 8, *[both] * 8, *[rain] * 8]) == [(0, 8), (8, 16), (16, 24)]


def test_what_is_never_likely_is_not_told_of() -> None:
    assert places([DOG / 4] * 10) == []
    assert places([*[DOG / 4] * 3, DOG, *[DOG / 4] * 3]) == [(0, 7)]


def test_peaks_and_the_first_frames_are_kept() -> None:
    (one,) = stretches([NOTHING, *[DOG] * 30, DOG + RAIN / 2, *[DOG] * 30])
    assert one.frames == [torch.tensor([float(number)]) for number in range(1, 21)]
    torch.testing.assert_close(one.peaks, DOG + RAIN / 2)


@pytest.mark.parametrize("step", [1, 2, 7, 20])
def test_it_is_one_how_many_frames_come_at_a_time(step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    kinds = torch.randint(5, (60,), generator=generator).repeat_interleave(5)
    events = [*torch.cat([torch.eye(4) * 0.9, NOTHING[None]])[kinds]]
    whole = places(events)
    assert len(whole) > 10
    assert places(events, step) == whole
