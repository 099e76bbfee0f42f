"""Resampling by libsoxr."""

from __future__ import annotations

import soxr
import torch
from torch import Tensor, nn


def resample(samples: Tensor, source: int, target: int) -> Tensor:
    """Change the sampling rate of ``samples`` [S] float32 from ``source`` to ``target`` hertz.

    Returns [ceil(S * target / source)]; the same tensor if the rates are equal. What lies above
    0.91 of the lower Nyquist frequency fades. Any two rates will do: those of a forged header,
    without a common divisor, cost no more than others. Thread-safe.
    """
    if source == target:
        return samples
    resampled = torch.from_numpy(soxr.resample(samples.numpy(), source, target, quality="VHQ"))
    # soxr rounds the length, where it may be of a fraction more.
    missing = -(-samples.shape[0] * target // source) - resampled.shape[0]
    return nn.functional.pad(resampled, (0, missing))
