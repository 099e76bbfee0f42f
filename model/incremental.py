"""BART's decoder, one token at a time: what a search asks for again and again.

On a small decoder a step's time is that of its many small operations, so there are few: query, key
and value come of one product, those of the memory of one for all layers, once per clip, and the
beams of a clip are queries of one attention. Nor is the self-attention cache ever reordered: it
holds what every beam has said, and a mask tells each beam which of it is its own past.

Shapes: B clips, N beams, T frames, H heads, D features, P prompt tokens, K cached tokens, Q queries
per clip (N, or P in ``prefill``), V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class IncrementalDecoder:
    """A decoder with B memories at hand, and N sentences begun on each."""

    def __init__(self, bart: Any, memory: Tensor, mask: Tensor, beams: int, max_steps: int) -> None:
        """``memory`` [B, T, D] as BART's encoder leaves it, ``mask`` [B, T] bool.

        ``max_steps`` is how often ``step`` may be called.
        """
        decoder = bart.model.decoder
        self._heads: int = bart.config.decoder_attention_heads
        self._layers = [_Layer.of(layer) for layer in decoder.layers]
        self._words: Tensor = decoder.embed_tokens.weight
        self._places: Tensor = decoder.embed_positions.weight[decoder.embed_positions.offset :]
        self._norm = _Norm.of(decoder.layernorm_embedding)
        self._output: tuple[Tensor, Tensor] = (bart.lm_head.weight, bart.final_logits_bias[0])
        self._beams = beams
        self._max_steps = max_steps
        self._tokens = 0
        # All additive masks have a row per clip and head: 0 for what is heard, else -inf.
        self._heard = self._per_head(_additive(mask, memory.dtype)[:, None])  # [B * H, 1, T]
        self._cross = self._listen(decoder.layers, memory)  # [2 * layers, B, H, T, D / H]
        self._cache = memory.new_empty(0)  # [2 * layers, B, H, K, D / H]; made by ``prefill``
        self._past = memory.new_empty(0)  # [B, N, K]: whose past each cached token is, additive

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V] of what follows."""
        clips, count = tokens.shape
        each, _, heads, _, size = self._cross.shape
        room = count + self._beams * self._max_steps
        self._cache = self._cross.new_empty(each, clips, heads, room, size)
        self._past = self._cross.new_zeros(clips, self._beams, count)
        before = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
        before = _additive(before, self._cross.dtype).expand(clips, -1, -1)
        places = self._places[:count].repeat(clips, 1)
        return self._run(tokens, places, before, 0)[:, -1:]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n says ``tokens``[b, n] after what beam ``parents``[b, n] had said.

        Both are [B, N]. Returns logits [B, N, V].
        """
        clips, beams = parents.shape
        used = self._past.shape[2]
        past = self._past.gather(1, parents[:, :, None].expand(-1, -1, used))
        own = _additive(torch.eye(beams, device=past.device, dtype=torch.bool), past.dtype)
        self._past = torch.cat([past, own.expand(clips, -1, -1)], dim=2)
        return self._run(tokens, self._places[self._tokens], self._past, used)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        each = self._heard.view(-1, self._heads, *self._heard.shape[1:])
        self._heard = each[rows].flatten(0, 1)
        self._past = self._past[rows]
        self._cross = self._cross[:, rows]
        self._cache = self._cache[:, rows]

    def _run(self, tokens: Tensor, places: Tensor, past: Tensor, start: int) -> Tensor:
        """[B, Q] -> logits [B, Q, V]; their keys and values are cached from ``start`` on.

        ``places`` broadcasts to [B * Q, D]; ``past`` is [B, Q, K], additive.
        """
        clips, count = tokens.shape
        self._tokens += 1 if start else count
        past = self._per_head(past)
        end = start + count
        x = self._norm(F.embedding(tokens.flatten(), self._words) + places)
        for number, layer in enumerate(self._layers):
            now = layer.ask_self(x).view(clips, count, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            keys = self._cache[2 * number : 2 * number + 2, :, :, :end]
            keys[:, :, :, start:] = now[1:]
            x = layer.after_self(x + layer.answer_self(_attend(now[0], keys, past)))
            query = layer.ask_memory(x).view(clips, count, self._heads, -1).transpose(1, 2)
            heard = _attend(query, self._cross[2 * number : 2 * number + 2], self._heard)
            x = layer.after_memory(x + layer.answer_memory(heard))
            x = layer.after_thought(x + layer.narrow(layer.activation(layer.widen(x))))
        return F.linear(x, *self._output).view(clips, count, -1)

    def _listen(self, layers: Any, memory: Tensor) -> Tensor:
        """Keys and values of the memory [B, T, D] for each layer: [2 * layers, B, H, T, D / H]."""
        parts = [part for layer in layers for part in _keys_values(layer.encoder_attn)]
        all_of_them: Tensor = _Linear.joint(parts)(memory)
        split = all_of_them.view(*memory.shape[:2], len(parts), self._heads, -1)
        return split.permute(2, 0, 3, 1, 4).contiguous()

    def _per_head(self, mask: Tensor) -> Tensor:
        """[B, Q, K] -> [B * H, Q, K]."""
        return mask.repeat_interleave(self._heads, dim=0)


def _attend(query: Tensor, cached: Tensor, mask: Tensor) -> Tensor:
    """[B, H, Q, D / H], scaled, over [2, B, H, K, D / H] -> [B * Q, D].

    ``mask`` broadcasts to [B * H, Q, K].
    """
    keys, values = cached.flatten(1, 2)
    scores = torch.baddbmm(mask, query.flatten(0, 1), keys.transpose(1, 2))
    found = torch.bmm(scores.softmax(-1), values)
    return found.view(query.shape).transpose(1, 2).reshape(-1, query.shape[1] * query.shape[3])


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def _keys_values(attention: Any) -> tuple[nn.Linear, nn.Linear]:
    return attention.k_proj, attention.v_proj


@dataclass(frozen=True)
class _Linear:
    """A linear map; without a module's overhead, which is that of the product on few rows."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    @staticmethod
    def joint(parts: list[nn.Linear]) -> _Linear:
        """All of them at once, side by side."""
        return _Linear(
            torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])
        )

    def scaled_first(self, rows: int, scale: float) -> _Linear:
        """The first outputs multiplied by ``scale``."""
        factors = self.bias.new_ones(len(self.bias))
        factors[:rows] = scale
        return _Linear(self.weight * factors[:, None], self.bias * factors)


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    @staticmethod
    def of(norm: nn.LayerNorm) -> _Norm:
        return _Norm(norm.weight, norm.bias, norm.eps)


@dataclass(frozen=True)
class _Layer:
    """A decoder layer's maps; those that ask give scaled queries."""

    ask_self: _Linear
    """Query, key and value: D -> 3 D."""
    answer_self: _Linear
    after_self: _Norm
    ask_memory: _Linear
    answer_memory: _Linear
    after_memory: _Norm
    widen: _Linear
    activation: Any
    narrow: _Linear
    after_thought: _Norm

    @staticmethod
    def of(layer: Any) -> _Layer:
        """Of Transformers' ``BartDecoderLayer``."""
        own, other = layer.self_attn, layer.encoder_attn
        width = own.q_proj.out_features
        scale = own.head_dim**-0.5
        return _Layer(
            _Linear.joint([own.q_proj, own.k_proj, own.v_proj]).scaled_first(width, scale),
            _Linear.joint([own.out_proj]),
            _Norm.of(layer.self_attn_layer_norm),
            _Linear.joint([other.q_proj]).scaled_first(width, scale),
            _Linear.joint([other.out_proj]),
            _Norm.of(layer.encoder_attn_layer_norm),
            _Linear(layer.fc1.weight, layer.fc1.bias),
            layer.activation_fn,
            _Linear(layer.fc2.weight, layer.fc2.bias),
            _Norm.of(layer.final_layer_norm),
        )
