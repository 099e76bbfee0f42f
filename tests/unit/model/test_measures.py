"""What is measured is what was made: levels, middles of spectra, onsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model import measures

RATE = 16_000


def tone(hertz: float, seconds: float = 2.0, amplitude: float = 0.5) -> Any:
    time = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def test_levels() -> None:
    assert measures.level_db(tone(440)) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert measures.level_db(np.zeros(100, np.float32)) == measures.SILENT_DB


@pytest.mark.parametrize("hertz", [100.0, 1000.0, 6000.0])
def test_the_middle_of_a_tone_is_its_own(hertz: float) -> None:
    assert measures.centre_octaves(tone(hertz), RATE) == pytest.approx(np.log2(hertz), abs=0.02)


def test_the_middle_lies_between_equal_tones_and_not_in_dc() -> None:
    both = tone(500) + tone(2000) + np.float32(0.3)
    assert measures.centre_octaves(both, RATE) == pytest.approx(np.log2(1000), abs=0.05)


@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_onsets_are_counted(count: int) -> None:
    rng = np.random.default_rng(0)
    clip = 1e-3 * rng.standard_normal(4 * RATE)
    for number in range(count):
        start = int((0.3 + 0.5 * number) * RATE)
        decay = np.exp(-np.arange(RATE // 5) / (RATE / 20))
        clip[start : start + RATE // 5] += 0.3 * rng.standard_normal(RATE // 5) * decay
    assert measures.onsets(clip.astype(np.float32), RATE) == pytest.approx(count / 4)


def test_a_steady_sound_has_none() -> None:
    noise = np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32)
    assert measures.onsets(0.1 * noise, RATE) == 0
    assert measures.onsets(noise[:100], RATE) == 0


def test_together_and_on_a_scale_of_clear_differences() -> None:
    found = measures.measure(tone(1024, seconds=4.0), RATE)
    assert found.seconds == 4
    assert found.onsets == 0
    level, centre, length, rises = found.scaled
    assert level == pytest.approx((found.level_db + 50) / 10)
    assert (centre, length, rises) == (pytest.approx(0, abs=0.02), 0, -1)
    assert len(found.scaled) == measures.COUNT
    assert np.isfinite(measures.measure(np.zeros(1, np.float32), RATE).scaled).all()
