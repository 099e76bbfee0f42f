"""Resampling: exact lengths, what is kept, what vanishes, any two rates, another filter."""

from __future__ import annotations

import math
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchaudio

from model.audio import resampling

RATE = 16_000
DROOP = 5e-4
"""What the passband may lose at 0.8 of the lower Nyquist frequency: 0.004 dB."""
RATES = [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 384_000, 44_101, 37_123]


def resample(samples: torch.Tensor, source: int, target: int) -> torch.Tensor:
    return torch.from_numpy(resampling.resample(samples.numpy(), source, target))


def sine(hertz: float, rate: int) -> torch.Tensor:
    """A second of it."""
    return torch.sin(2 * torch.pi * hertz * torch.arange(rate, dtype=torch.float64) / rate).float()


def noise(samples: int) -> torch.Tensor:
    return 2 * torch.rand(samples, generator=torch.Generator().manual_seed(0)) - 1


def test_at_one_rate_nothing_is_done() -> None:
    samples = noise(100).numpy()
    assert resampling.resample(samples, RATE, RATE) is samples


@pytest.mark.parametrize(
    ("source", "length"),
    [(source, length) for source in RATES for length in (0, 1, 2, 441, 1000, 12_345)]
    + [(44_100, 2_645_887), (16_009, 16_009), (16_001, 100), (15_999, 7), (1, 60), (7, 420)],
)
def test_length_is_exact(source: int, length: int) -> None:
    resampled = resample(torch.ones(length), source, RATE)
    assert resampled.shape == (math.ceil(length * RATE / source),)
    assert resampled.dtype == torch.float32
    assert torch.isfinite(resampled).all()


@pytest.mark.parametrize("source", RATES)
def test_a_constant_part_is_no_click_at_the_ends(source: int) -> None:
    assert (resample(torch.full((3000,), 0.3), source, RATE) - 0.3).abs().max() < 1e-5
    lifted = resample(noise(3000) / 2 + 0.3, source, RATE) - 0.3
    torch.testing.assert_close(lifted, resample(noise(3000) / 2, source, RATE), rtol=0, atol=1e-4)


@pytest.mark.parametrize("source", RATES)
def test_a_sine_below_both_nyquist_frequencies_is_kept(source: int) -> None:
    hertz = 0.4 * min(source, RATE)
    error = resample(sine(hertz, source), source, RATE) - sine(hertz, RATE)
    assert error[RATE // 4 : -RATE // 4].abs().max() < DROOP


@pytest.mark.parametrize("source", [22_050, 44_100, 48_000, 192_000])
def test_what_is_above_the_nyquist_frequency_vanishes(source: int) -> None:
    for hertz in (8100, 9000, 10_500, 15_900, 20_000, 23_000):
        if hertz < source / 2:
            left = resample(sine(hertz, source), source, RATE)
            assert left[800:-800].abs().max() < 1e-6, hertz


@pytest.mark.parametrize("source", [8000, 22_050, 44_100, 48_000, 384_000])
def test_it_is_torchaudios_where_both_filters_are_flat(source: int) -> None:
    """That one is a windowed sinc; the ends are left out, where a filter meets the silence."""
    spectrum = torch.fft.rfft(noise(source).double())
    spectrum[int(0.4 * min(source, RATE)) :] = 0  # a bin is a hertz
    samples = torch.fft.irfft(spectrum, source).float()
    expected = torchaudio.functional.resample(
        samples,
        source,
        RATE,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )
    assert expected.std() > 0.02
    found = resample(samples, source, RATE)
    torch.testing.assert_close(found[800:-800], expected[800:-800], rtol=0, atol=DROOP)


def test_rates_without_a_common_divisor_take_no_gigabytes() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for source in (1, 7919, 15_991, 44_101, 383_987):
        assert resample(torch.ones(source), source, RATE).shape == (RATE,)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_threads_resample_alike() -> None:
    clips = [noise(source // 5) for source in RATES] * 8
    alone = [resample(clip, rate, RATE) for clip, rate in zip(clips, RATES * 8, strict=True)]
    with ThreadPoolExecutor(8) as pool:
        together = [*pool.map(resample, clips, RATES * 8, [RATE] * len(clips))]
    assert all(map(torch.equal, alone, together))
