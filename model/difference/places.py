"""Sinusoidal positions (Vaswani et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

PERIOD = 10_000.0


def places(count: int, width: int, device: torch.device) -> Tensor:
    """[T, M] for T = ``count``, M = ``width``."""
    rates = PERIOD ** (-torch.arange(0, width, 2, device=device) / width)
    angles = torch.arange(count, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]
