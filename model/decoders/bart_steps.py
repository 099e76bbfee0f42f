"""BART's decoder, one token at a time: what a search asks for again and again.

On a small decoder a step's time is that of its many small operations, so there are few: query, key
and value come of one product, those of the memory of one for all layers, once per clip, and the
beams of a clip are queries of one attention. Nor is the self-attention cache ever reordered: it
holds the tokens of every beam, and a mask tells each beam which of it is its own past.

Shapes: B clips, N beams, T frames, H heads, D features, P prompt tokens, K cached tokens, Q queries
per clip (N, or P in ``prefill``), V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BartSteps:
    """A decoder with B memories at hand, and N sentences begun on each (``NextTokens``)."""

    def __init__(
        self, weights: Weights, memory: Tensor, mask: Tensor, beams: int, max_steps: int
    ) -> None:
        """``memory`` [B, T, D] is what the captions are of, ``mask`` [B, T] bool.

        ``max_steps`` is how often ``step`` may be called.
        """
        self._weights = weights
        self._beams = beams
        self._max_steps = max_steps
        self._tokens = 0
        # Masks are additive, the same for all heads: 0 for what is attended to, else -inf.
        self._cross_mask = _additive(mask, memory.dtype)[:, None, None]  # [B, 1, 1, T]
        self._cross_cache = self._cross_keys_values(memory)  # [2 * layers, B, H, T, D / H]
        self._self_cache = memory.new_empty(0)  # [2 * layers, B, H, K, D / H]; made by ``prefill``
        self._self_mask = memory.new_empty(0)  # [B, 1, N, K]: whose past each cached token is
        self._own_mask = memory.new_empty(0)  # [N, N]: the tokens of one step are each beam's own

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V] of what follows."""
        clips, count = tokens.shape
        each, _, heads, _, size = self._cross_cache.shape
        room = count + self._beams * self._max_steps
        self._self_cache = self._cross_cache.new_empty(each, clips, heads, room, size)
        self._self_mask = self._cross_cache.new_zeros(clips, 1, self._beams, count)
        every = torch.eye(self._beams, dtype=torch.bool, device=tokens.device)
        self._own_mask = _additive(every, self._cross_cache.dtype)
        before = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
        positions = self._weights.positions[:count].repeat(clips, 1)
        return self._run(tokens, positions, _additive(before, self._cross_cache.dtype), 0)[:, -1:]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n adds ``tokens``[b, n] to what beam ``parents``[b, n] had.

        Both are [B, N]. Returns logits [B, N, V].
        """
        used = self._self_mask.shape[3]
        past = self._self_mask.gather(2, parents[:, None, :, None].expand(-1, -1, -1, used))
        own = self._own_mask.expand(len(parents), 1, -1, -1)
        self._self_mask = torch.cat([past, own], dim=3)
        return self._run(tokens, self._weights.positions[self._tokens], self._self_mask, used)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._cross_mask = self._cross_mask[rows]
        self._self_mask = self._self_mask[rows]
        self._cross_cache = self._cross_cache[:, rows]
        self._self_cache = self._self_cache[:, rows]

    def _run(self, tokens: Tensor, positions: Tensor, mask: Tensor, start: int) -> Tensor:
        """[B, Q] -> logits [B, Q, V]; their keys and values are cached from ``start`` on.

        ``positions`` broadcasts to [B * Q, D]; ``mask`` to [B, 1, Q, K], additive.
        """
        clips, count = tokens.shape
        heads = self._weights.heads
        self._tokens += 1 if start else count
        end = start + count
        x = F.embedding(tokens.flatten(), self._weights.embedding) + positions
        x = self._weights.embedding_norm(x)
        for number, layer in enumerate(self._weights.layers):
            qkv = layer.self_qkv(x).view(clips, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
            cache = self._self_cache[2 * number : 2 * number + 2, :, :, :end]
            cache[:, :, :, start:] = qkv[1:]
            x = layer.self_norm(x + layer.self_out(_attend(qkv[0], cache, mask)))
            query = layer.cross_q(x).view(clips, count, heads, -1).transpose(1, 2)
            cache = self._cross_cache[2 * number : 2 * number + 2]
            attended = _attend(query, cache, self._cross_mask)
            x = layer.cross_norm(x + layer.cross_out(attended))
            x = layer.final_norm(x + layer.fc2(F.gelu(layer.fc1(x))))
        return self._weights.lm_head(x.float()).view(clips, count, -1)

    def _cross_keys_values(self, memory: Tensor) -> Tensor:
        """Keys and values of [B, T, D] for each layer: [2 * layers, B, H, T, D / H]."""
        weights = self._weights
        clips, count, _ = memory.shape
        memory = weights.memory_norm(memory + weights.memory_positions[:count])
        kv = weights.cross_kv(memory.flatten(0, 1))
        split = kv.view(clips, count, 2 * len(weights.layers), weights.heads, -1)
        return split.permute(2, 0, 3, 1, 4).contiguous()


def _attend(query: Tensor, cached: Tensor, mask: Tensor) -> Tensor:
    """[B, H, Q, D / H] over [2, B, H, K, D / H] -> [B * Q, D].

    ``mask`` broadcasts to [B, 1, Q, K].
    """
    found = F.scaled_dot_product_attention(query, cached[0], cached[1], attn_mask=mask)
    return found.transpose(1, 2).reshape(-1, query.shape[1] * query.shape[3])


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


@dataclass(frozen=True)
class Weights:
    """A decoder's weights as its steps want them: joined, and laid out for few rows."""

    heads: int
    memory_positions: Tensor
    """[T, D]"""
    memory_norm: _Norm
    """What is left of BART's encoder when it has no layers."""
    cross_kv: _Linear
    """Keys and values of all layers: D -> 2 * layers * D."""
    embedding: Tensor
    """[V, D]"""
    positions: Tensor
    """[L, D]"""
    embedding_norm: _Norm
    layers: list[_Layer]
    lm_head: _Linear
    """In float32: half-precision logits are too coarse to tell close candidates apart."""

    @staticmethod
    def of(bart: Any) -> Weights:
        """Of Transformers' ``BartForConditionalGeneration`` without encoder layers, with GELU."""
        encoder, decoder = bart.model.encoder, bart.model.decoder
        return Weights(
            bart.config.decoder_attention_heads,
            encoder.embed_positions.weight[encoder.embed_positions.offset :],
            _Norm.of(encoder.layernorm_embedding),
            _Linear.joint(
                *(
                    part
                    for layer in decoder.layers
                    for part in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj)
                )
            ),
            decoder.embed_tokens.weight,
            decoder.embed_positions.weight[decoder.embed_positions.offset :],
            _Norm.of(decoder.layernorm_embedding),
            [_Layer.of(layer) for layer in decoder.layers],
            _Linear(
                bart.lm_head.weight.float().t().contiguous(), bart.final_logits_bias[0].float()
            ),
        )


@dataclass(frozen=True)
class _Linear:
    """A linear map. Outputs lie side by side, which is faster on few rows on a CPU."""

    weight: Tensor
    """[inputs, outputs]"""
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)

    @staticmethod
    def joint(*parts: nn.Linear) -> _Linear:
        """All of them at once, side by side."""
        return _Linear(
            torch.cat([part.weight for part in parts]).t().contiguous(),
            torch.cat([part.bias for part in parts]),
        )


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    @staticmethod
    def of(norm: nn.LayerNorm) -> _Norm:
        return _Norm(norm.weight, norm.bias, norm.eps)


@dataclass(frozen=True)
class _Layer:
    """A decoder layer's maps, in the order of their use."""

    self_qkv: _Linear
    """Query, key and value: D -> 3 D."""
    self_out: _Linear
    self_norm: _Norm
    cross_q: _Linear
    cross_out: _Linear
    cross_norm: _Norm
    fc1: _Linear
    fc2: _Linear
    final_norm: _Norm

    @staticmethod
    def of(layer: Any) -> _Layer:
        """Of Transformers' ``BartDecoderLayer``."""
        own, other = layer.self_attn, layer.encoder_attn
        return _Layer(
            _Linear.joint(own.q_proj, own.k_proj, own.v_proj),
            _Linear.joint(own.out_proj),
            _Norm.of(layer.self_attn_layer_norm),
            _Linear.joint(other.q_proj),
            _Linear.joint(other.out_proj),
            _Norm.of(layer.encoder_attn_layer_norm),
            _Linear.joint(layer.fc1),
            _Linear.joint(layer.fc2),
            _Norm.of(layer.final_layer_norm),
        )
