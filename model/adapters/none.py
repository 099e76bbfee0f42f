"""No adapter: the comparison is of the encoder's own frames.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from torch import nn

from model.types import Encoded


class NoAdapter(nn.Module):
    """The identity."""

    def __init__(self, *, inputs: int, width: int) -> None:  # noqa: ARG002 - the decoder's
        """``inputs`` is D, before and after."""
        super().__init__()
        self.width = inputs

    def forward(self, encoded: Encoded) -> Encoded:
        """[B, T, D] -> the same."""
        return encoded
