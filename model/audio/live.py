"""Sound that has no end yet: blocks of any rate and channels to mono samples at one rate.

Shapes: S samples, C channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.audio.readers import Samples
from model.audio.resampling import StreamResampler
from model.errors import CorruptAudio

PCM = {"s16le": "<i2", "f32le": "<f4"}
"""Formats of raw samples, by FFmpeg's names, and NumPy's."""


class LiveResampler:
    """Mixes and resamples block by block, as if all were one clip; it may hold a little back.

    Channels are averaged: which of them cancel each other, as ``mix`` asks of a whole clip, could
    change from block to block.
    """

    def __init__(self, source: int, target: int) -> None:
        """Rates in hertz."""
        self._resampled = StreamResampler(source, target)

    def __call__(self, block: Samples) -> Samples:
        """[S, C] -> [S'] in [-1, 1]. Raises CorruptAudio for samples that are NaN or infinite."""
        if not np.isfinite(block).all():
            raise CorruptAudio("There are samples that are NaN or infinite. Send finite ones.")
        mono = block.clip(-1.0, 1.0).mean(axis=1, dtype=np.float32)
        return self._resampled(mono).clip(-1.0, 1.0)

    def end(self) -> Samples:
        """[S']: what was held back; nothing may follow."""
        return self._resampled.rest().clip(-1.0, 1.0)


def from_pcm(data: bytes, kind: str, channels: int) -> Samples:
    """Interleaved samples of a kind in ``PCM`` -> [S, C], full scale at 1.

    Raises CorruptAudio where they are not a whole number of samples for each channel.
    """
    item = np.dtype(PCM[kind])
    if len(data) % (item.itemsize * channels):
        raise CorruptAudio(
            f"{len(data)} bytes are no whole number of {kind} samples of {channels} channels. "
            "Send whole ones."
        )
    samples: NDArray[np.generic] = np.frombuffer(data, item).reshape(-1, channels)
    floats: Samples = samples.astype(np.float32)
    return floats / np.float32(1 << 15) if item.kind == "i" else floats
