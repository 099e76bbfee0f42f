"""Mappers: learned vectors that gather what is to be said of others (ADIFF, Deshmukh et al. 2025).

A transformer without positions, masks of order or a last norm, over the vectors that come in and
as many learned ones as go out.

Shapes: B clips, N vectors in, Q vectors out, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Mapper(nn.Module):
    """Vectors -> as many others as it has queries."""

    def __init__(self, *, width: int, queries: int, layers: int, heads: int) -> None:
        """D, Q."""
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, N, D], where ``mask`` [B, N], if there is one -> [B, Q, D]."""
        queries = self.queries.expand(len(x), -1, -1)
        if mask is not None:
            mask = F.pad(mask, (0, len(self.queries)), value=True)
        x = torch.cat([x, queries.to(x.dtype)], dim=1)
        for layer in self.layers:
            x = layer(x, mask)
        return x[:, -len(self.queries) :]


class Layer(nn.Module):
    """Attention among all, then two layers on each; a norm before each of both."""

    def __init__(self, width: int, heads: int) -> None:
        """D."""
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.project = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, N, D], attended to where ``mask`` [B, N] -> the same shape."""
        normed = self.norm1(x)
        key, value = self.key_value(normed).chunk(2, dim=2)
        query, key, value = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(normed), key, value)
        )
        found = F.scaled_dot_product_attention(
            query, key, value, attn_mask=None if mask is None else mask[:, None, None]
        )
        x = x + self.project(found.transpose(1, 2).flatten(2))
        return x + self.fc2(F.relu(self.fc1(self.norm2(x))))  # type: ignore[no-any-return]
