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

    def __init__(
        self, weights: Weights, frames: Tensor, mask: Tensor, beams: int, max_steps: int
    ) -> None:
        """``frames`` [B, T, D] are what the captions are of, ``mask`` [B, T] bool.

        ``max_steps`` is how often ``step`` may be called.
        """
        self._weights = weights
        self._beams = beams
        self._max_steps = max_steps
        self._tokens = 0
        # Masks are additive, the same for all heads: 0 for what is heard, else -inf.
        self._heard = _additive(mask, frames.dtype)[:, None, None]  # [B, 1, 1, T]
        self._cross = self._listen(frames)  # [2 * layers, B, H, T, D / H]
        self._cache = frames.new_empty(0)  # [2 * layers, B, H, K, D / H]; made by ``prefill``
        self._past = frames.new_empty(0)  # [B, 1, N, K]: whose past each cached token is
        self._own = frames.new_empty(0)  # [N, N]: the tokens of one step are each beam's own

    def prefill(self, tokens: Tensor) -> Tensor:
        """Begin every sentence with ``tokens`` [B, P] -> logits [B, 1, V] of what follows."""
        clips, count = tokens.shape
        each, _, heads, _, size = self._cross.shape
        room = count + self._beams * self._max_steps
        self._cache = self._cross.new_empty(each, clips, heads, room, size)
        self._past = self._cross.new_zeros(clips, 1, self._beams, count)
        every = torch.eye(self._beams, dtype=torch.bool, device=tokens.device)
        self._own = _additive(every, self._cross.dtype)
        before = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
        places = self._weights.places[:count].repeat(clips, 1)
        return self._run(tokens, places, _additive(before, self._cross.dtype), 0)[:, -1:]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:
        """Go on: beam n says ``tokens``[b, n] after what beam ``parents``[b, n] had said.

        Both are [B, N]. Returns logits [B, N, V].
        """
        used = self._past.shape[3]
        past = self._past.gather(2, parents[:, None, :, None].expand(-1, -1, -1, used))
        own = self._own.expand(len(parents), 1, -1, -1)
        self._past = torch.cat([past, own], dim=3)
        return self._run(tokens, self._weights.places[self._tokens], self._past, used)

    def take(self, rows: Tensor) -> None:
        """Go on with these clips alone."""
        self._heard = self._heard[rows]
        self._past = self._past[rows]
        self._cross = self._cross[:, rows]
        self._cache = self._cache[:, rows]

    def _run(self, tokens: Tensor, places: Tensor, past: Tensor, start: int) -> Tensor:
        """[B, Q] -> logits [B, Q, V]; their keys and values are cached from ``start`` on.

        ``places`` broadcasts to [B * Q, D]; ``past`` to [B, 1, Q, K], additive.
        """
        clips, count = tokens.shape
        heads = self._weights.heads
        self._tokens += 1 if start else count
        end = start + count
        x = self._weights.begin(F.embedding(tokens.flatten(), self._weights.words) + places)
        for number, layer in enumerate(self._weights.layers):
            now = layer.ask_self(x).view(clips, count, 3, heads, -1).permute(2, 0, 3, 1, 4)
            cache = self._cache[2 * number : 2 * number + 2, :, :, :end]
            cache[:, :, :, start:] = now[1:]
            x = layer.after_self(x + layer.answer_self(_attend(now[0], cache, past)))
            query = layer.ask_memory(x).view(clips, count, heads, -1).transpose(1, 2)
            heard = _attend(query, self._cross[2 * number : 2 * number + 2], self._heard)
            x = layer.after_memory(x + layer.answer_memory(heard))
            x = layer.after_thought(x + layer.narrow(F.gelu(layer.widen(x))))
        return self._weights.output(x.float()).view(clips, count, -1)

    def _listen(self, frames: Tensor) -> Tensor:
        """Keys and values of [B, T, D] for each layer: [2 * layers, B, H, T, D / H]."""
        weights = self._weights
        clips, count, _ = frames.shape
        memory = weights.memory(frames + weights.memory_places[:count])
        listened = weights.listen(memory.flatten(0, 1))
        split = listened.view(clips, count, 2 * len(weights.layers), weights.heads, -1)
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
    memory_places: Tensor
    """[T, D]"""
    memory: _Norm
    """What is left of BART's encoder when it has no layers."""
    listen: _Linear
    """Keys and values of all layers: D -> 2 * layers * D."""
    words: Tensor
    """[V, D]"""
    places: Tensor
    """[L, D]"""
    begin: _Norm
    layers: list[_Layer]
    output: _Linear
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

    ask_self: _Linear
    """Query, key and value: D -> 3 D."""
    answer_self: _Linear
    after_self: _Norm
    ask_memory: _Linear
    answer_memory: _Linear
    after_memory: _Norm
    widen: _Linear
    narrow: _Linear
    after_thought: _Norm

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
