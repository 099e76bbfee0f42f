"""Making recordings vary, and hiding how they were stored.

Shapes: S samples.
"""

from __future__ import annotations

import numpy as np

from training.datasets.recording import Samples


def change_speed(samples: Samples, factor: float) -> Samples:
    """[S] -> [S / factor]: played ``factor`` times as fast, so that its pitch moves too."""
    positions = np.arange(0, len(samples) - 1, factor)
    played: Samples = np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)
    return played


def quantize8(samples: Samples) -> Samples:
    """Peak-normalize and round to 8 bits.

    Three quarters of the ESC-50 clips at hand are stored so and the rest, which are of certain
    classes, are not: without this the noise of rounding would give the class away.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return samples
    return (np.round(samples / peak * 127) / 127 * peak).astype(np.float32)


def add_noise(samples: Samples, rng: np.random.Generator, level_db: float) -> Samples:
    """Add white noise at ``level_db`` dB relative to full scale (root mean square).

    Uniform, not normal: as white, and several times cheaper to draw.
    """
    noise = rng.random(len(samples), dtype=np.float32) - np.float32(0.5)
    return samples + np.float32(np.sqrt(12) * 10 ** (level_db / 20)) * noise


def faded(samples: Samples, length: int) -> Samples:
    """[S] -> [S]: fades of ``length`` samples at both ends."""
    samples = samples.copy()
    fade = min(len(samples) // 2, length)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return samples


def equalize(samples: Samples, rng: np.random.Generator, sample_rate: int) -> Samples:
    """[S] -> [S]: a random tilt of up to 6 dB per end, and half of the time a low-pass.

    Nothing near the Nyquist frequency is to be a cue: many stored copies end below it.
    """
    spectrum = np.fft.rfft(samples)
    hertz = np.linspace(0, sample_rate / 2, len(spectrum), dtype=np.float32)
    knots = rng.uniform(-6, 6, 5)
    curve = np.interp(np.log2(hertz + 50), np.log2([50, 250, 1000, 3000, 8000]), knots)
    if rng.random() < 0.5:
        corner = np.exp(rng.uniform(np.log(3000), np.log(sample_rate / 2)))
        curve = curve - 60 * np.clip((hertz - corner) / (0.1 * corner), 0, 1)
    return np.fft.irfft(spectrum * 10 ** (curve / 20), len(samples)).astype(np.float32)


def reverberate(samples: Samples, rng: np.random.Generator, sample_rate: int) -> Samples:
    """[S] -> [S + tail]: a room, as decaying noise after the direct sound."""
    decay_s = float(np.exp(rng.uniform(np.log(0.1), np.log(0.7))))
    length = int(decay_s * sample_rate)
    tail = rng.standard_normal(length, dtype=np.float32)
    tail *= np.exp(-6.9 * np.arange(length, dtype=np.float32) / length)
    tail *= np.float32(10 ** (rng.uniform(-14, 0) / 20)) / np.sqrt(np.square(tail).sum())
    tail[0] += 1
    size = len(samples) + length - 1
    fast = 1 << size.bit_length()
    wet = np.fft.irfft(np.fft.rfft(samples, fast) * np.fft.rfft(tail, fast), fast)
    return wet[:size].astype(np.float32)


def power(samples: Samples) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def level(samples: Samples, rng: np.random.Generator) -> Samples:
    """A random recording level with, mostly, some noise; the peak stays within [-1, 1]."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 0:
        samples = samples / np.float32(peak) * np.float32(10 ** (rng.uniform(-15, 0) / 20))
    if rng.random() < 0.7:
        samples = add_noise(samples, rng, rng.uniform(-80, -42))
    return np.clip(samples, -1, 1)
