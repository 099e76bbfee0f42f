"""Resampling by libsoxr."""

from __future__ import annotations

import numpy as np
import soxr

from model.audio.readers import Samples

QUALITY = "HQ"
"""libsoxr's."""


class StreamResampler:
    """As ``resample``, for blocks that follow each other; it may hold a little back."""

    def __init__(self, source: int, target: int) -> None:
        """Rates in hertz."""
        self._stream = (
            None if source == target else soxr.ResampleStream(source, target, 1, quality=QUALITY)
        )

    def __call__(self, samples: Samples) -> Samples:
        """[S] -> [S'], what can be told so far."""
        return self._resampled(samples, last=False)

    def rest(self) -> Samples:
        """[S']: what was held back; nothing may follow."""
        return self._resampled(np.empty(0, np.float32), last=True)

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(samples, last=last)
        return resampled


def resample(samples: Samples, source: int, target: int) -> Samples:
    """Change the sampling rate of ``samples`` [S] from ``source`` to ``target`` hertz.

    Returns [ceil(S * target / source)]; the same array if the rates are equal. What lies above
    0.91 of the lower Nyquist frequency fades. Any two rates will do: those of a forged header,
    without a common divisor, cost no more than others. Thread-safe.
    """
    if source == target or not len(samples):
        return samples
    # Without its constant part, or both of its ends would be steps from and to nothing: clicks.
    constant = samples.mean()
    resampled = soxr.resample(samples - constant, source, target, quality=QUALITY)
    resampled += constant
    # soxr rounds the length, where it may be of a fraction more.
    missing = -(-len(samples) * target // source) - len(resampled)
    if missing <= 0:
        return np.ascontiguousarray(resampled[: len(resampled) + missing])
    return np.pad(resampled, (0, missing), constant_values=constant)
