"""Bytes to a mono waveform: every format, rate and layout."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from model.audio import decode
from model.audio.mixing import mix
from tests.unit.model.audio_files import (
    CASES,
    ENCODERS,
    RATE,
    Samples,
    by_ffmpeg,
    by_soundfile,
    encoded,
    noise,
    tone,
    video,
)

OPUS = {"ogg-opus", "webm", "webm-live"}

# Codecs that begin with a delay which the container does not tell, or end with padding.
LOOSE = {"mp3-untold", "m4a", "mp4-fragments", "aac", "wma", "ogg-vorbis"}


def correlation(heard: Samples, expected: Samples) -> float:
    """Of the best alignment within a fifth of a second."""
    size = len(heard) + len(expected)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(expected, size).conj(), size)
    delay = int(products[: RATE // 5].argmax())
    common = min(len(heard) - delay, len(expected))
    return float(np.corrcoef(heard[delay:][:common], expected[:common])[0, 1])


@CASES
@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (11025, 2), (22050, 1), (44100, 2), (48000, 1)]
)
def test_every_format_rate_and_layout_is_heard(case: str, rate: int, channels: int) -> None:
    if case in OPUS:
        rate = 48_000  # the rate that Opus decodes at
    clip = decode(encoded(case, tone(rate, channels), rate), RATE)
    source = clip.source
    assert (source.format, source.sample_rate, source.channels) == (
        ENCODERS[case][0],
        rate,
        channels,
    )
    assert source.duration_s == pytest.approx(1.0, abs=0.16 if case in LOOSE else 1e-3)
    assert clip.samples.dtype == torch.float32
    assert clip.samples.shape == (math.ceil(round(source.duration_s * rate) * RATE / rate),)
    assert clip.duration_s == pytest.approx(source.duration_s, abs=1e-4)
    heard = clip.samples.numpy()
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * RATE / len(heard) == pytest.approx(440, abs=2)
    # The click tells a shifted or a repeated tone from the tone in its place.
    expected = tone(RATE, channels).mean(axis=1)
    assert correlation(heard, expected) > (0.95 if case in LOOSE else 0.99)


@pytest.mark.parametrize("case", ["wav-16", "wav-24", "wav-32", "wav-extensible", "flac", "caf"])
def test_pcm_at_the_target_rate_is_not_touched(case: str) -> None:
    samples = noise(0.1)
    clip = decode(encoded(case, samples, RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), samples[:, 0])


@pytest.mark.parametrize("case", ["mov-pcm", "m4a-alac"])
def test_lossless_through_ffmpeg_is_exact_to_16_bits(case: str) -> None:
    samples = noise(0.1)
    clip = decode(encoded(case, samples, RATE), RATE)
    assert np.abs(clip.samples.numpy() - samples[:, 0]).max() <= 1 / 32768


@pytest.mark.parametrize("case", ["wav-u8", "mkv-u8"])
def test_eight_bits_are_unsigned_around_128(case: str) -> None:
    steps = np.array([-1.0, -0.5, 0.0, 0.0, 0.5, 127 / 128] * 50, dtype=np.float32)
    clip = decode(encoded(case, steps[:, None], RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), steps)


def test_channels_are_averaged() -> None:
    other = noise(0.1)[::-1]
    samples = np.concatenate([noise(0.1), other, noise(0.1) / 2, 0 * other], axis=1)
    clip = decode(by_soundfile(samples, RATE, "WAV", "FLOAT"), RATE)
    assert clip.source.channels == 4
    expected = samples.astype(np.float64).mean(axis=1)
    assert np.allclose(clip.samples, expected, atol=1e-7)


@pytest.mark.parametrize("channels", [6, 8, 9, 16, 32])
@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_many_channels_are_heard(codec: str, channels: int) -> None:
    """FFmpeg's decoders of these keep each channel apart; PyAV's list of them is right up to 7."""
    weights = np.linspace(0.5, 1, channels, dtype=np.float32)
    clip = decode(by_soundfile(tone(48_000) * weights, 48_000, "OGG", codec), 48_000)
    assert clip.source.channels == channels
    expected = tone(48_000)[:, 0] * weights.mean()
    assert correlation(clip.samples.numpy(), expected) > 0.95
    rms = np.sqrt((expected**2).mean())  # the one for low frequencies lacks most of the sound
    assert clip.samples.square().mean().sqrt() == pytest.approx(rms, 0.25)


@pytest.mark.parametrize("codec", ["pcm_f32le", "aac", "libmp3lame"])
def test_channels_that_are_each_others_inverse_are_heard(codec: str) -> None:
    kind = {"pcm_f32le": "wav", "aac": "ipod", "libmp3lame": "mp3"}[codec]
    samples = tone(44_100, 1)
    clip = decode(by_ffmpeg(np.concatenate([samples, -samples], 1), 44_100, kind, codec), RATE)
    assert clip.source.channels == 2
    assert clip.samples.square().mean().sqrt() == pytest.approx(0.28, abs=0.02)
    assert correlation(clip.samples.numpy(), tone(RATE)[:, 0]) > 0.95


def test_a_channel_is_left_out_only_for_one_that_holds_its_sound() -> None:
    first, second = noise(0.1), noise(0.2)[RATE // 10 :]
    beside = np.concatenate([first, second, -first], axis=1)
    assert np.allclose(mix(beside.T), (first + second)[:, 0] / 2, atol=1e-6)
    # What is apart by the constant part alone is not opposed.
    apart = np.concatenate([first / 10 + 0.5, second / 10 - 0.5], axis=1)
    assert np.allclose(mix(apart.T), (first + second)[:, 0] / 20, atol=1e-6)


@pytest.mark.parametrize("case", ["wav-f32", "wav-ffmpeg"])
def test_samples_beyond_full_scale_are_clipped(case: str) -> None:
    loud = noise(0.1) * 4
    clip = decode(encoded(case, loud, RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), loud[:, 0].clip(-1, 1))
    huge = np.full((4410, 1), 1e30, dtype=np.float32)
    assert decode(encoded(case, huge, 44_100), RATE).samples.abs().max() <= 1


def test_sound_is_taken_out_of_a_video() -> None:
    clip = decode(video(sound=True), RATE)
    assert clip.source.format == "mp4"
    assert correlation(clip.samples.numpy(), tone(RATE)[:, 0]) > 0.985


def test_real_recordings(esc50_dir: Path) -> None:
    paths = [path for path in sorted((esc50_dir / "audio").iterdir())[:400:50] if path.is_file()]
    assert paths
    for path in paths:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clip = decode(path.read_bytes(), rate)
        assert abs(len(expected) - len(clip.samples)) <= rate // 40
        size = min(len(expected), len(clip.samples))
        assert np.allclose(clip.samples[:size], expected.mean(axis=1)[:size], atol=1e-5)
