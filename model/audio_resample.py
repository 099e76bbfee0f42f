"""Resampling by torchaudio's windowed sinc, with its kernels cached and bounded."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torchaudio
from torch import Tensor, nn

_MAX_KERNEL = 1 << 20
"""Phases times stride; 44.1 to 16 kHz takes 70,560."""


def resample(samples: Tensor, source: int, target: int) -> Tensor:
    """Change the sampling rate of ``samples`` [S] float32 from ``source`` to ``target`` hertz.

    Returns [ceil(S * target / source)]; the same tensor if the rates are equal. Rates without a
    common divisor, as in forged headers, would take a kernel of gigabytes: their ratio is replaced
    by the nearest simpler one, off by less than 0.05 %. Thread-safe.
    """
    if source == target:
        return samples
    ratio = Fraction(source, target).limit_denominator(math.isqrt(_MAX_KERNEL * target // source))
    resampled: Tensor = _resampler(ratio.numerator, ratio.denominator)(samples)
    # A simpler ratio, and torchaudio's own length in 32-bit floats, can be off either way.
    missing = -(-samples.shape[0] * target // source) - resampled.shape[0]
    return nn.functional.pad(resampled, (0, missing))


@lru_cache(maxsize=16)
def _resampler(source: int, target: int) -> nn.Module:
    """A Kaiser window as in resampy's "kaiser_best": flat to 0.9 of the lower Nyquist frequency."""
    resampler: nn.Module = torchaudio.transforms.Resample(
        source,
        target,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )
    return resampler
