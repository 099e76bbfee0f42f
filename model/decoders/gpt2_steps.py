"""GPT-2, one token at a time: what a search asks for again and again.

As BART's, the cache of past keys and values is never reordered: it holds the tokens of every beam
behind the prefix, which all share, and a mask tells each beam which of them is its own past.

Shapes: B clips, N beams, P vectors of the prefix, H heads, D features, K cached, Q queries per
clip, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.decoders.gpt2_modules import Gpt2


class Gpt2Steps:
    """Of B prefixes the sentences that follow each, N a prefix (``NextTokens``)."""

    def __init__(self, gpt: Gpt2, prefix: Tensor, beams: int, room: int) -> None:
        """``prefix`` [B, P, D]; there is ``room`` for so many tokens of a clip, all beams'."""
        clips, count, width = prefix.shape
        self._gpt = gpt
        # In float32: half-precision logits are too coarse to tell close candidates apart.
        self._words = gpt.transformer.wte.weight.float()
        size = width // gpt.heads
        layers = len(gpt.layers)
        self._past = prefix.new_empty(2 * layers, clips, gpt.heads, count + room, size)
        self._length = 0  # of the cache
        self._place = count
        self._own = torch.eye(beams, dtype=torch.bool, device=prefix.device)
        self._mask = self._own.new_ones(clips, 1, beams, count)  # [B, 1, N, K]
        places = torch.arange(count, device=prefix.device)
        self._after = self._run(prefix, places, None)[:, -1:]

    def prefill(self, tokens: Tensor) -> Tensor:  # noqa: ARG002 - the start stands for the prefix
        """-> logits [B, 1, V] of what follows the prefix."""
        return self._after

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n adds ``tokens``[b, n] to what beam ``parents``[b, n] had.

        Both are [B, N]. Returns logits [B, N, V].
        """
        past = self._mask.gather(2, parents[:, None, :, None].expand_as(self._mask))
        self._mask = torch.cat([past, self._own.expand(len(parents), 1, -1, -1)], dim=3)
        place = torch.tensor([self._place], device=tokens.device)
        self._place += 1
        return self._run(self._gpt.embed(tokens), place, self._mask)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._mask = self._mask[rows]
        self._past = self._past[:, rows]

    def _run(self, x: Tensor, places: Tensor, mask: Tensor | None) -> Tensor:
        """[B, Q, D], added to the cache -> logits [B, Q, V]; no ``mask`` [B, 1, Q, K]: causal."""
        start, self._length = self._length, self._length + x.shape[1]

        def attend(layer: int, qkv: Tensor) -> Tensor:
            past = self._past[2 * layer : 2 * layer + 2, :, :, : self._length]
            past[:, :, :, start:] = qkv[1:]
            return F.scaled_dot_product_attention(
                qkv[0], past[0], past[1], attn_mask=mask, is_causal=mask is None
            )

        return F.linear(self._gpt.run(x, places, attend).float(), self._words)
