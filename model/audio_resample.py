"""Band-limited resampling by a windowed sinc, as a convolution with a stride.

J. O. Smith, "Digital Audio Resampling", 2002: output n is the input, low-passed below the lower of
the two Nyquist frequencies, at the time n / target. With source / target = p / q in lowest terms
the filter takes q phases, which are the q channels of one convolution of stride p.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

ZERO_CROSSINGS = 64
KAISER_BETA = 14.77
CUTOFF = 0.9476
"""Of the lower Nyquist frequency: flat to 0.9 of it, 78 dB down just above it, 140 dB from 1.03."""

_MAX_KERNEL = 1 << 20
_MIN_PHASES = 32
"""Fewer channels than this leave the processor's matrix product idle."""


def resample(samples: Tensor, source: int, target: int) -> Tensor:
    """Change the sampling rate of ``samples`` [S] float32 from ``source`` to ``target`` hertz.

    Returns [ceil(S * target / source)]; the same tensor if the rates are equal. A ratio of more
    than about a million phases times stride (rates without a common divisor, as in forged
    headers) is replaced by the nearest that has fewer, off by less than 0.05 %: its kernel would
    take gigabytes. Thread-safe.
    """
    if source == target:
        return samples
    length = -(-samples.shape[0] * target // source)
    ratio = Fraction(source, target).limit_denominator(math.isqrt(_MAX_KERNEL * target // source))
    repeats = -(-_MIN_PHASES // ratio.denominator)
    stride, phases = ratio.numerator * repeats, ratio.denominator * repeats
    kernel, margin = _kernel(stride, phases)
    groups = -(-length // phases)
    padding = (groups - 1) * stride + kernel.shape[-1] - margin - samples.shape[0]
    padded = functional.pad(samples, (margin, padding))
    outputs = functional.conv1d(padded[None, None], kernel, stride=stride)  # [1, phases, groups]
    return outputs[0].t().reshape(-1)[:length]


@lru_cache(maxsize=16)
def _kernel(stride: int, phases: int) -> tuple[Tensor, int]:
    """Filters [phases, 1, taps] and how many samples the first tap lies before the output."""
    cutoff = CUTOFF * min(1.0, phases / stride)
    reach = ZERO_CROSSINGS / cutoff
    margin = math.ceil(reach)
    taps = torch.arange(-margin, stride + margin, dtype=torch.float64)
    times = torch.arange(phases, dtype=torch.float64)[:, None] * (stride / phases)
    distance = taps - times
    inside = (1 - (distance / reach) ** 2).clamp(min=0)
    window = torch.special.i0(KAISER_BETA * inside.sqrt()) * (inside > 0)
    window /= torch.special.i0(torch.tensor(KAISER_BETA, dtype=torch.float64))
    filters = cutoff * torch.sinc(cutoff * distance) * window
    return filters.float()[:, None], margin
