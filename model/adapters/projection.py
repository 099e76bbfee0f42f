"""The projection of a clip's vector: ADIFF, section 4; after CLAP's.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn
from torch.nn import functional as F

from model.types import Encoded


class ProjectionAdapter(nn.Module):
    """``LN(e + Dropout(W2 GELU(e)))`` of ``e = W1 a``, at length 1."""

    def __init__(self, *, inputs: int, width: int, features: int, dropout: float) -> None:  # noqa: ARG002 - the decoder's
        """D before, and ``features``, D after."""
        super().__init__()
        self.width = features
        self.linear1 = nn.Linear(inputs, features, bias=False)
        self.linear2 = nn.Linear(features, features, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(features)

    def forward(self, encoded: Encoded) -> Encoded:
        """[B, T, ``inputs``] -> [B, T, ``features``]."""
        first = self.linear1(encoded.frames)
        projected = self.norm(first + self.dropout(self.linear2(F.gelu(first))))
        return replace(encoded, frames=F.normalize(projected, dim=2))
