"""Mel filters as triangles in mel, without norm: HTK's and Kaldi's.

Shapes: M mel bands.
"""

from __future__ import annotations

import torch
from torch import Tensor


def triangles(sample_rate: int, n_fft: int, mels: int, f_min: float, f_max: float) -> Tensor:
    """[n_fft // 2 + 1, M] float64; mel = 1127 ln(1 + f / 700), frequencies in Hz."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hertz / 700)

    low, high = mel(torch.tensor([f_min, f_max], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, mels + 2, dtype=torch.float64)
    bins = mel(torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft)[:, None]
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(up, down).clamp(min=0)
