"""BART, for training: its modules under the names Transformers gives them.

Checkpoints, published ones among them, stand on these names. Written out here because Transformers'
own takes seconds and 170 MiB to import; ``tests/parity/test_bart.py`` holds both equal.

Shapes: B clips, T frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_OFFSET = 2
"""Embeddings before that of the first place, as fairseq left them."""
_STD = 0.02
"""Of fresh weights."""


class Bart(nn.Module):
    """Memory and the tokens so far -> logits (Lewis et al. 2019; post-norm, GELU).

    One embedding is that of the tokens, and the map to logits; the encoder reads memory.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        encoder_layers: int,
        heads: int,
        ffn: int,
        dropout: float,
        max_positions: int,
        pad_token_id: int,
    ) -> None:
        """``width`` is D, ``ffn`` that of the feed-forward layers; ``layers`` the decoder's."""
        super().__init__()
        self.heads = heads
        self.model = _Model(
            nn.Embedding(vocab_size, width, pad_token_id),
            _Encoder(width, max_positions, dropout, encoder_layers, heads, ffn),
            _Decoder(width, max_positions, dropout, layers, heads, ffn),
        )
        self.register_buffer("final_logits_bias", torch.zeros(1, vocab_size))
        self.final_logits_bias: Tensor
        self.apply(_initialize)

    def forward(self, memory: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """[B, T, D], [B, T] bool and [B, L] -> [B, L, V], of what follows each token."""
        heard = self.model.encoder(memory, mask)
        x = self.model.decoder(self.model.shared(tokens), heard, mask[:, None, None])
        return F.linear(x, self.model.shared.weight) + self.final_logits_bias


class _Model(nn.Module):
    def __init__(self, shared: nn.Embedding, encoder: _Encoder, decoder: _Decoder) -> None:
        super().__init__()
        self.shared = shared
        self.encoder = encoder
        self.decoder = decoder


class _Positions(nn.Embedding):
    """A learned embedding of each place."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__(places + _OFFSET, width)

    @property
    def places(self) -> Tensor:
        """[places, D], from the first place on."""
        return self.weight[_OFFSET:]


class _Embedded(nn.Module):
    """What both begin with."""

    def __init__(self, width: int, max_positions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embed_positions = _Positions(max_positions, width)
        self.layernorm_embedding = nn.LayerNorm(width)

    def embed(self, x: Tensor) -> Tensor:
        """[B, L, D], with the places."""
        places = self.embed_positions.places[: x.shape[1]]
        embedded: Tensor = self.dropout(self.layernorm_embedding(x + places))
        return embedded


class _Encoder(_Embedded):
    def __init__(
        self, width: int, max_positions: int, dropout: float, layers: int, heads: int, ffn: int
    ) -> None:
        super().__init__(width, max_positions, dropout)
        self.layers = nn.ModuleList(
            _EncoderLayer(width, heads, ffn, dropout) for _ in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D] and [B, T] bool -> [B, T, D]; without layers positions and norm alone."""
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x, mask[:, None, None])
        return x


class _Decoder(_Embedded):
    def __init__(
        self, width: int, max_positions: int, dropout: float, layers: int, heads: int, ffn: int
    ) -> None:
        super().__init__(width, max_positions, dropout)
        self.layers = nn.ModuleList(Layer(width, heads, ffn, dropout) for _ in range(layers))

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x, memory, mask)
        return x


class _EncoderLayer(nn.Module):
    """Attention to all frames, then feed-forward; each with norm after."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, D] and [B, 1, 1, T] bool -> [B, T, D]."""
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, x, mask)))
        fed: Tensor = self.final_layer_norm(x + self.dropout(self.fc2(F.gelu(self.fc1(x)))))
        return fed


class Layer(nn.Module):
    """Attention to the tokens so far, to the memory, then feed-forward; each with norm after."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.self_attn = _Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = _Attention(width, heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """[B, L, D] with [B, T, D] and [B, 1, 1, T] bool -> [B, L, D]."""
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, x, None)))
        x = self.encoder_attn_layer_norm(x + self.dropout(self.encoder_attn(x, memory, mask)))
        fed: Tensor = self.final_layer_norm(x + self.dropout(self.fc2(F.gelu(self.fc1(x)))))
        return fed


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, others: Tensor, mask: Tensor | None) -> Tensor:
        """[B, L, D] over [B, T, D]; without ``mask``, True where something is, causal."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_proj(x), self.k_proj(others), self.v_proj(others))
        )
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None
        )
        joined: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return joined


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=_STD)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=_STD)
        if module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx])
