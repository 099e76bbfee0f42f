"""Samples as the files that are sent: WAV, and what storage makes of them.

Shapes: S samples.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr

from training.datasets.recording import Samples

SAMPLE_RATE = 16_000
OPUS_RATE = 48_000


def wav(samples: Samples, sample_rate: int = SAMPLE_RATE) -> bytes:
    """[S] -> a 16-bit WAV file; softer where it would clip."""
    scaled = samples / max(1.0, float(np.abs(samples).max(initial=0.0)))
    return _file(scaled, sample_rate, "WAV", "PCM_16")


def exact(samples: Samples, sample_rate: int) -> bytes:
    """[S] -> a WAV file of the very same numbers."""
    return _file(samples, sample_rate, "WAV", "FLOAT")


def mp3(samples: Samples, sample_rate: int) -> bytes:
    """[S] -> an MP3 file as libsndfile makes it."""
    return _file(samples, sample_rate, "MP3", "MPEG_LAYER_III")


def opus(samples: Samples, sample_rate: int) -> bytes:
    """[S] -> an Ogg Opus file as libsndfile makes it, at the rate that Opus works at."""
    return _file(soxr.resample(samples, sample_rate, OPUS_RATE), OPUS_RATE, "OGG", "OPUS")


def _file(samples: Samples, sample_rate: int, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format=container, subtype=subtype)
    return buffer.getvalue()
