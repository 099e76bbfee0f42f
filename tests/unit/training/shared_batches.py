"""Fits a small stage into the folder that is named; alone, or as one of torchrun's processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


class Samples(Dataset[dict[str, Any]]):
    """As many as the stage needs, no two alike."""

    def __len__(self) -> int:
        return 10_000

    def __getitem__(self, index: int) -> dict[str, Any]:
        x = torch.randn(6, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.prod()[None]}


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of each."""
    return {name: torch.stack([sample[name] for sample in samples]) for name in ("x", "y")}


if __name__ == "__main__":
    budget = Budget(STEPS, 8, 0.01, warmup_steps=2, save_steps=STEPS, workers=0)
    fit(Stage("regression", Regression(), "", Samples(), collate, budget), Path(sys.argv[1]))
