"""One linear layer: Audio Difference Learning, equation 10.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from model.types import Encoded


class LinearAdapter(nn.Linear):
    """The same for every frame."""

    def __init__(self, *, inputs: int, width: int) -> None:
        """D before and after."""
        super().__init__(inputs, width)
        self.width = width

    def forward(self, encoded: Encoded) -> Encoded:  # type: ignore[override]
        """[B, T, ``inputs``] -> [B, T, ``width``]."""
        return replace(encoded, frames=super().forward(encoded.frames))
