"""Augmentation: lengths, pitches and levels as stated, and nothing else changed."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.recording import Samples
from training.scenes.augment import (
    add_noise,
    change_speed,
    level,
    power,
    quantize8,
)

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0, peak: float = 0.5) -> Samples:
    times = np.arange(int(seconds * RATE)) / RATE
    return (peak * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def pitch(samples: Samples) -> float:
    """Hertz of the strongest component."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.1, 1.25])
def test_change_speed_moves_length_and_pitch_by_the_factor(factor: float) -> None:
    before = tone(700)
    after = change_speed(before, factor)
    assert after.dtype == np.float32
    assert abs(len(after) - len(before) / factor) <= 1
    assert abs(pitch(after) - 700 * factor) <= 2 * RATE / len(after)
    assert np.abs(after).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("peak", [1.0, 0.37, 1e-3])
def test_quantize8_leaves_255_levels_at_most_and_the_peak(peak: float) -> None:
    before = np.random.default_rng(0).uniform(-peak, peak, 20_000).astype(np.float32)
    before[7] = -peak
    after = quantize8(before)
    assert after.dtype == np.float32
    assert 200 < len(np.unique(after)) <= 255
    assert np.abs(after).max() == np.float32(peak)
    assert np.abs(after - before).max() <= 0.51 * peak / 127


def test_quantize8_leaves_silence() -> None:
    assert not quantize8(np.zeros(10, np.float32)).any()


@pytest.mark.parametrize("level_db", [-80.0, -60.0, -42.0, -20.0])
def test_add_noise_is_as_loud_as_asked(level_db: float) -> None:
    before = tone(440)
    after = add_noise(before, np.random.default_rng(0), level_db)
    assert after.dtype == np.float32
    silence = np.zeros(4 * RATE, np.float32)
    noise = add_noise(silence, np.random.default_rng(1), level_db)
    assert abs(10 * np.log10(power(noise)) - level_db) < 0.2
    assert abs(noise.mean()) < 0.05 * noise.std()
    assert abs(10 * np.log10(power((after - before).astype(np.float32))) - level_db) < 0.2


def test_power_is_the_mean_square() -> None:
    assert power(np.array([3, -4], np.float32)) == 12.5
    assert power(np.zeros(0, np.float32)) == 0.0


# Level ------------------------------------------------------------------------------------------


def test_level_is_within_15_db_of_full_scale_mostly_with_noise() -> None:
    rng = np.random.default_rng(1)
    sound = (7 * np.sin(np.arange(4000))).astype(np.float32)
    sound[:2000] = 0
    peaks, floors = [], []
    for _ in range(300):
        leveled = level(sound, rng)
        assert leveled.dtype == np.float32
        peaks.append(20 * np.log10(np.abs(leveled).max()))
        floors.append(power(leveled[:2000]))
    assert min(peaks) > -15.8  # where noise of -42 dB took some of a peak of -15 dB
    assert min(peaks) < -14
    assert max(peaks) <= 0
    assert max(peaks) > -1
    noisy = np.array([floor for floor in floors if floor > 0])
    assert 0.6 < len(noisy) / 300 < 0.8
    assert 10 * np.log10(noisy.max()) < -41.5
    assert 10 * np.log10(noisy.min()) > -80.5


def test_level_leaves_silence_but_for_noise() -> None:
    rng = np.random.default_rng(2)
    powers = [power(level(np.zeros(1000, np.float32), rng)) for _ in range(60)]
    assert min(powers) == 0
    assert 0 < max(powers) < 10**-4.1
