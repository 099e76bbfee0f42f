"""LogMel gives what librosa gives, at the paper's settings and at the bundled checkpoint's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from model.config import CaptionerConfig, LogMelConfig, compact
from model.encoders.log_mel import LogMel
from training.scenes.synthetic import SOUNDS, synthesize

PANNS = LogMelConfig(
    sample_rate=32_000, window=1024, hop=320, n_fft=1024, mels=64, f_min=50.0, f_max=14_000.0,
    floor=1e-10, scale="db", pad="reflect",
)  # fmt: skip
SETTINGS = {
    "paper": CaptionerConfig().encoder.front_end,
    "compact": compact(2000).encoder.front_end,
    "panns": PANNS,
}


@pytest.fixture(params=SETTINGS)
def settings(request: pytest.FixtureRequest) -> LogMelConfig:
    return SETTINGS[request.param]


def assert_parity(samples: NDArray[Any], settings: LogMelConfig) -> None:
    """Compare where float32 can tell: above the floor and within 70 dB of the loudest band."""
    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        hop_length=settings.hop,
        win_length=settings.window,
        window="hann",
        center=True,
        pad_mode=settings.pad,
        power=2.0,
        n_mels=settings.mels,
        fmin=settings.f_min,
        fmax=settings.f_max,
    ).T
    ours = LogMel(**settings.keywords())(torch.from_numpy(samples)[None].float())[0].numpy()
    assert ours.shape == power.shape
    audible = power > max(settings.floor, 1e-7 * power.max())
    assert audible.sum() > settings.mels
    expected = np.log(power + settings.floor)
    if settings.scale == "db":
        expected = 10 * np.log10(np.maximum(power, settings.floor))
    np.testing.assert_allclose(ours[audible], expected[audible], rtol=0, atol=1e-3)
    # The rest is rounding noise on either side, or silence: never louder than it may be.
    silent = np.exp(ours[~audible]) if settings.scale == "ln" else 10 ** (ours[~audible] / 10)
    assert silent.max(initial=0) < 2 * max(settings.floor, 1e-7 * power.max())


@pytest.mark.parametrize("samples", [2048, 2646, 30_001])
def test_noise(settings: LogMelConfig, samples: int) -> None:
    assert_parity(np.random.default_rng(samples).uniform(-1, 1, samples), settings)


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_synthetic_sounds(settings: LogMelConfig, name: str) -> None:
    rng = np.random.default_rng(0)
    assert_parity(synthesize(name, rng, settings.sample_rate, duration_s=1.0), settings)


def test_real_recordings(settings: LogMelConfig, esc50_dir: Path) -> None:
    paths = sorted(path for path in (esc50_dir / "audio").iterdir() if path.is_file())
    for path in paths[:: len(paths) // 6]:
        samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
        assert_parity(samples.mean(axis=1), settings)


def test_silence_is_the_floor(settings: LogMelConfig) -> None:
    log_mel = LogMel(**settings.keywords())(torch.zeros(1, 5000))
    floor = torch.full_like(log_mel, settings.floor)
    expected = floor.log() if settings.scale == "ln" else 10 * floor.log10()
    torch.testing.assert_close(log_mel, expected)
