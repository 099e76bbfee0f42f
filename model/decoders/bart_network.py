"""BART's decoder as a search wants it: its weights joined, and what they compute of a few tokens.

On a small decoder a step's time is that of its many small operations, so there are few: query, key
and value come of one product, those of the memory of one for all layers, once per clip, and the
beams of a clip are queries of one attention. Where past keys and values lie is the caller's matter.

Shapes: B clips, T frames, H heads, D features, Q queries per clip, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.decoders.bart_modules import Bart, Layer


@dataclass(frozen=True)
class Weights:
    """A decoder's weights as its steps want them: joined, and laid out for few rows."""

    heads: int
    cross_kv: _Linear
    """Keys and values of all layers: D -> 2 * layers * D."""
    embedding: Tensor
    """[V, D]"""
    embedding_norm: _Norm
    layers: list[_Layer]
    lm_head: _Linear
    """In float32: half-precision logits are too coarse to tell close candidates apart."""

    def cross_keys_values(self, memory: Tensor) -> Tensor:
        """Keys and values of [B, T, D], as the encoder leaves it: [2 * layers, B, H, T, D / H]."""
        clips, count, _ = memory.shape
        kv = self.cross_kv(memory.flatten(0, 1))
        split = kv.view(clips, count, 2 * len(self.layers), self.heads, -1)
        return split.permute(2, 0, 3, 1, 4).contiguous()

    def logits(
        self,
        tokens: Tensor,
        positions: Tensor,
        attend_self: Callable[[int, Tensor], Tensor],
        attend_cross: Callable[[int, Tensor], Tensor],
    ) -> Tensor:
        """[B, Q] -> [B, Q, V]; ``positions`` [Q or 1, D] are the embeddings of their places.

        Of each layer, by number, ``attend_self`` is handed query, key and value of the tokens,
        [3, B, H, Q, D / H], and ``attend_cross`` the query alone; both return [B, H, Q, D / H].
        """
        clips, count = tokens.shape
        x = F.embedding(tokens, self.embedding) + positions
        x = self.embedding_norm(x.flatten(0, 1))
        for number, layer in enumerate(self.layers):
            qkv = layer.self_qkv(x).view(clips, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            x = layer.self_norm(x + layer.self_out(_rows(attend_self(number, qkv))))
            query = layer.cross_q(x).view(clips, count, self.heads, -1).transpose(1, 2)
            x = layer.cross_norm(x + layer.cross_out(_rows(attend_cross(number, query))))
            x = layer.final_norm(x + layer.fc2(F.gelu(layer.fc1(x))))
        return self.lm_head(x.float()).view(clips, count, -1)

    @staticmethod
    def of(bart: Bart) -> Weights:
        """The modules' weights, joined."""
        words, decoder = bart.model.shared.weight, bart.model.decoder
        layers = cast(list[Layer], list(decoder.layers))
        return Weights(
            bart.heads,
            _Linear.joint(
                *(
                    part
                    for layer in layers
                    for part in (layer.encoder_attn.k_proj, layer.encoder_attn.v_proj)
                )
            ),
            words,
            _Norm.of(decoder.layernorm_embedding),
            [_Layer.of(layer) for layer in layers],
            _Linear(words.float().t().contiguous(), bart.final_logits_bias[0].float()),
        )


def _rows(attended: Tensor) -> Tensor:
    """[B, H, Q, D / H] -> [B * Q, D]."""
    return attended.transpose(1, 2).flatten(2).flatten(0, 1)


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where ``mask`` is True, else -inf: what is added to attention scores."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


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
    def of(layer: Layer) -> _Layer:
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
