"""BART's decoder, one token at a time: what a search asks for again and again.

Cross-attention keys and values are computed once per clip; the beams of a clip are queries of one
attention over them. Nor is the self-attention cache ever reordered: it holds what every beam has
said, and a mask tells each beam which of it is its own past.

Shapes: B clips, N beams, T frames, H heads, D features, P prompt tokens, K cached tokens,
V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class IncrementalDecoder:
    """A decoder with B memories at hand, and N sentences begun on each."""

    def __init__(self, bart: Any, memory: Tensor, mask: Tensor, beams: int, max_steps: int) -> None:
        """``memory`` [B, T, D] as BART's encoder leaves it, ``mask`` [B, T] bool.

        ``max_steps`` is how often ``step`` may be called.
        """
        self._decoder = bart.model.decoder
        self._heads: int = bart.config.decoder_attention_heads
        self._output = (bart.lm_head.weight, bart.final_logits_bias)
        self._beams = beams
        self._max_steps = max_steps
        self._heard = mask[:, None, None, :]  # [B, 1, 1, T]
        self._cross = [
            (
                self._split(layer.encoder_attn.k_proj(memory)),
                self._split(layer.encoder_attn.v_proj(memory)),
            )
            for layer in self._decoder.layers
        ]
        self._cache: list[tuple[Tensor, Tensor]] = []  # per layer, [B, H, K, D / H]
        self._past = mask  # [B, N, K] bool: whose past each cached token is; made by ``prefill``
        self._used = 0
        self._tokens = 0

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V] of what follows."""
        clips, count = tokens.shape
        room = count + self._beams * self._max_steps
        like = self._cross[0][0]
        self._cache = [
            (
                like.new_empty(clips, self._heads, room, like.shape[-1]),
                like.new_empty(clips, self._heads, room, like.shape[-1]),
            )
            for _ in self._cross
        ]
        self._past = self._heard.new_zeros(clips, self._beams, room)
        self._past[:, :, :count] = True
        before = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
        return self._run(tokens, torch.arange(count, device=tokens.device), before)[:, -1:]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n says ``tokens``[b, n] after what beam ``parents``[b, n] had said.

        Both are [B, N]. Returns logits [B, N, V].
        """
        beams = parents.shape[1]
        past = self._past.gather(1, parents[:, :, None].expand(-1, -1, self._past.shape[2]))
        own = torch.eye(beams, dtype=torch.bool, device=tokens.device)
        past[:, :, self._used : self._used + beams] = own
        self._past = past
        place = torch.full((1,), self._tokens, device=tokens.device)
        return self._run(tokens, place, past[:, None, :, : self._used + beams])

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._heard = self._heard[rows]
        self._past = self._past[rows]
        self._cross = [(key[rows], value[rows]) for key, value in self._cross]
        self._cache = [(key[rows], value[rows]) for key, value in self._cache]

    def _run(self, tokens: Tensor, places: Tensor, past: Tensor) -> Tensor:
        """[B, Q] at ``places`` of their sentences -> logits [B, Q, V]; their keys are cached."""
        decoder = self._decoder
        count = tokens.shape[1]
        start, end = self._used, self._used + count
        self._used = end
        self._tokens += len(places)
        x = decoder.embed_tokens(tokens)
        x = decoder.layernorm_embedding(x + decoder.embed_positions(tokens, position_ids=places))
        for layer, (keys, values), cross in zip(
            decoder.layers, self._cache, self._cross, strict=True
        ):
            attention = layer.self_attn
            keys[:, :, start:end] = self._split(attention.k_proj(x))
            values[:, :, start:end] = self._split(attention.v_proj(x))
            heard = self._attend(attention, x, keys[:, :, :end], values[:, :, :end], past)
            x = layer.self_attn_layer_norm(x + heard)
            heard = self._attend(layer.encoder_attn, x, *cross, self._heard)
            x = layer.encoder_attn_layer_norm(x + heard)
            x = layer.final_layer_norm(x + layer.fc2(layer.activation_fn(layer.fc1(x))))
        weight, bias = self._output
        logits: Tensor = F.linear(x, weight) + bias
        return logits

    def _attend(
        self, attention: Any, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Tensor:
        """[B, Q, D] over keys and values [B, H, K, D / H]; ``mask`` broadcasts to [B, H, Q, K]."""
        found = F.scaled_dot_product_attention(
            self._split(attention.q_proj(x)), keys, values, attn_mask=mask
        )
        out: Tensor = attention.out_proj(found.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        """[B, Q, D] -> [B, H, Q, D / H]."""
        return x.view(*x.shape[:2], self._heads, -1).transpose(1, 2)
