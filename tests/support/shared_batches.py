"""Fits a small stage into the folder that is named; alone, or as one of torchrun's processes."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.fit import Budget, Stage, fit

STEPS = 12


class Regression(nn.Module):
    """Two layers that learn a fixed map."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """[B, 6] and [B, 1] -> the mean squared error."""
        return {"loss": (self.layers(x) - y).square().mean()}


class Products(Dataset[dict[str, Tensor]]):
    """No two alike."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        x = torch.randn(6, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.prod()[None]}


def stage(steps: int = STEPS) -> Stage:
    budget = Budget(steps, 8, 0.01, warmup_steps=2, save_steps=steps, workers=0)
    return Stage("regression", Products(), Regression(), "", budget)


if __name__ == "__main__":
    fit(stage(), Path(sys.argv[1]))
