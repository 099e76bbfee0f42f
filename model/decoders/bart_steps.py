"""BART's decoder, one token at a time: what a search asks for again and again.

The cache of past keys and values is never reordered: it holds the tokens of every beam, and a mask
tells each beam which of it is its own past.

Shapes: B clips, N beams, T frames, H heads, D features, P prompt tokens, K cached tokens, Q queries
per clip (N, or P in ``prefill``), V vocabulary.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from model.decoders.bart_network import Weights, additive


class Cache(Protocol):
    """B memories, the tokens so far, and the network that reads both."""

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Add ``tokens`` [B, Q] to those so far -> logits [B, Q, V] of what follows each.

        ``positions`` [Q or 1, D] are the embeddings of their places. ``mask`` [B, 1, Q, K + Q],
        additive, says what of those so far, and of themselves, each attends to.
        """

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""


class BartSteps:
    """Of B clips the sentences begun on each, N a clip (``NextTokens``)."""

    def __init__(self, cache: Cache, positions: Tensor, beams: int) -> None:
        """``positions`` [L, D] are the embeddings of the places in a sentence."""
        self._cache = cache
        self._positions = positions
        self._beams = beams
        self._tokens = 0
        # Masks are additive, the same for all heads: 0 for what is attended to, else -inf.
        self._mask = positions.new_empty(0)  # [B, 1, N, K]: whose past each cached token is
        every = torch.eye(beams, dtype=torch.bool, device=positions.device)
        self._own = additive(every, positions.dtype)  # [N, N]: the tokens of one step

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V] of what follows."""
        clips, count = tokens.shape
        self._tokens = count
        self._mask = self._own.new_zeros(clips, 1, self._beams, count)
        before = additive(self._own.new_ones(count, count).tril().bool(), self._own.dtype)
        mask = before.expand(clips, 1, -1, -1)
        return self._cache.run(tokens, self._positions[:count], mask)[:, -1:]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n adds ``tokens``[b, n] to what beam ``parents``[b, n] had.

        Both are [B, N]. Returns logits [B, N, V].
        """
        past = self._mask.gather(2, parents[:, None, :, None].expand_as(self._mask))
        self._mask = torch.cat([past, self._own.expand(len(parents), 1, -1, -1)], dim=3)
        self._tokens += 1
        return self._cache.run(tokens, self._positions[self._tokens - 1, None], self._mask)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._mask = self._mask[rows]
        self._cache.take(rows)


class TorchCache:
    """In torch: what is new is written where the room for it is."""

    def __init__(self, weights: Weights, memory: Tensor, mask: Tensor, room: int) -> None:
        """``memory`` [B, T, D] is what the captions are of, ``mask`` [B, T] bool.

        There is ``room`` for so many tokens of a clip.
        """
        self._weights = weights
        self._cross_mask = additive(mask, memory.dtype)[:, None, None]  # [B, 1, 1, T]
        self._cross = weights.cross_keys_values(memory)  # [2 * layers, B, H, T, D / H]
        each, clips, heads, _, size = self._cross.shape
        self._past = memory.new_empty(each, clips, heads, room, size)

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """See ``Cache``."""
        end = mask.shape[3]
        start = end - tokens.shape[1]

        def attend_self(layer: int, qkv: Tensor) -> Tensor:
            past = self._past[2 * layer : 2 * layer + 2, :, :, :end]
            past[:, :, :, start:] = qkv[1:]
            return _attend(qkv[0], past, mask)

        def attend_cross(layer: int, query: Tensor) -> Tensor:
            return _attend(query, self._cross[2 * layer : 2 * layer + 2], self._cross_mask)

        return self._weights.logits(tokens, positions, attend_self, attend_cross)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._cross_mask = self._cross_mask[rows]
        self._cross = self._cross[:, rows]
        self._past = self._past[:, rows]


def _attend(query: Tensor, cached: Tensor, mask: Tensor) -> Tensor:
    """[B, H, Q, D / H] over [2, B, H, K, D / H]; ``mask`` broadcasts to [B, 1, Q, K]."""
    return F.scaled_dot_product_attention(query, cached[0], cached[1], attn_mask=mask)
