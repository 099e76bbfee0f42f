"""Resampling by torchaudio's windowed sinc, as a matrix product, with its filters cached."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
import torchaudio
from torch import Tensor, nn

_MAX_KERNEL = 1 << 20
"""Phases times stride; 44.1 to 16 kHz takes 70,560."""

_MIN_PHASES = 128
"""Columns that keep a matrix product busy: 48 to 16 kHz has one phase of its own."""


def resample(samples: Tensor, source: int, target: int) -> Tensor:
    """Change the sampling rate of ``samples`` [S] float32 from ``source`` to ``target`` hertz.

    Returns [ceil(S * target / source)]; the same tensor if the rates are equal. Rates without a
    common divisor, as in forged headers, would take a kernel of gigabytes: their ratio is replaced
    by the nearest simpler one, off by less than 0.05 %. Thread-safe.
    """
    if source == target:
        return samples
    ratio = Fraction(source, target).limit_denominator(math.isqrt(_MAX_KERNEL * target // source))
    resampled = samples
    if ratio != 1:
        kernel, width, stride = _filter(ratio.numerator, ratio.denominator)
        around = nn.functional.pad(samples, (width, width + stride))
        resampled = (around.unfold(0, len(kernel), stride) @ kernel).flatten()
    # A simpler ratio can be off either way, and the last row says more than is asked.
    missing = -(-samples.shape[0] * target // source) - resampled.shape[0]
    return nn.functional.pad(resampled, (0, missing))


def by_convolution(source: int, target: int) -> torchaudio.transforms.Resample:
    """torchaudio's own way with the same window, a Kaiser one as in resampy's "kaiser_best".

    Flat to 0.9 of the lower Nyquist frequency.
    """
    return torchaudio.transforms.Resample(
        source,
        target,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )


@lru_cache(maxsize=16)
def _filter(source: int, target: int) -> tuple[Tensor, int, int]:
    """The kernel [taps, phases], how many samples it reaches back, and how many it moves on."""
    made = by_convolution(source, target)
    kernel = made.kernel[:, 0].t()
    # Several strides in one: the same phases again, each time a stride later.
    times = -(-_MIN_PHASES // target)
    later = [(source * step, source * (times - 1 - step)) for step in range(times)]
    kernels = [nn.functional.pad(kernel, (0, 0, *room)) for room in later]
    return torch.cat(kernels, dim=1), made.width, source * times
