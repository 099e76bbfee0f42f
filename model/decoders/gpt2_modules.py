"""GPT-2, under the names Transformers gives its modules (Radford et al. 2019; pre-norm).

Checkpoints stand on these names. Written out here because Transformers' own takes seconds and
170 MiB to import; ``tests/parity/test_gpt2.py`` holds both equal.

Shapes: B clips, L tokens, H heads, D features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STD = 0.02
"""Of fresh weights."""

Attend = Callable[[int, Tensor], Tensor]
"""A layer's number; its query, key and value [3, B, H, L, D / H] -> [B, H, L, D / H]."""


class Gpt2(nn.Module):
    """Vectors -> logits of what follows each. One embedding is the words' and the map to logits."""

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        max_positions: int,
        dropout: float,
    ) -> None:
        """``width`` is D."""
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.transformer = _Transformer(vocab_size, width, layers, max_positions)
        self.apply(_initialize)
        for layer in self.layers:
            for last in (layer.attn.c_proj, layer.mlp.c_proj):  # as many are summed up
                nn.init.normal_(last.weight, std=_STD / (2 * layers) ** 0.5)

    @property
    def layers(self) -> Sequence[_Block]:
        """From the first on."""
        return cast("Sequence[_Block]", self.transformer.h)

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, L] -> [B, L, D], as ``forward`` takes them."""
        return F.embedding(tokens, self.transformer.wte.weight)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """[B, L, D] from the place ``first`` on -> what follows each, [B, L, D].

        Each sees itself and those before it; ``logits`` makes words of what follows.
        """

        def attend(_: int, qkv: Tensor) -> Tensor:
            share = self.dropout if self.training else 0.0
            query, key, value = qkv
            return F.scaled_dot_product_attention(
                query, key, value, dropout_p=share, is_causal=True
            )

        places = torch.arange(first, first + x.shape[1], device=x.device)
        return self.run(x, places, attend)

    def run(self, x: Tensor, places: Tensor, attend: Attend) -> Tensor:
        """[B, L, D] at ``places`` [L or 1] -> [B, L, D], each attending as ``attend`` has it."""
        x = self._drop(x + self.transformer.wpe(places))
        for number, layer in enumerate(self.layers):
            qkv = layer.attn.c_attn(layer.ln_1(x)).unflatten(2, (3, self.heads, -1))
            found = attend(number, qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).flatten(2)
            x = x + self._drop(layer.attn.c_proj(found))
            x = x + self._drop(layer.mlp(layer.ln_2(x)))
        return self.transformer.ln_f(x)  # type: ignore[no-any-return]

    def logits(self, x: Tensor) -> Tensor:
        """[B, L, D] -> [B, L, V]."""
        return F.linear(x, self.transformer.wte.weight)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class _Transformer(nn.Module):
    def __init__(self, vocab_size: int, width: int, layers: int, max_positions: int) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocab_size, width)
        self.wpe = nn.Embedding(max_positions, width)
        self.h = nn.ModuleList(_Block(width) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = _Attention(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)


class _Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_attn = _Conv1D(width, 3 * width)
        self.c_proj = _Conv1D(width, width)


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = _Conv1D(width, 4 * width)
        self.c_proj = _Conv1D(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.c_fc(x)
        return self.c_proj(F.gelu(inner, approximate="tanh"))  # type: ignore[no-any-return]


class _Conv1D(nn.Module):
    """A linear map whose weight is [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.flatten(0, -2), self.weight).view(*x.shape[:-1], -1)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding | _Conv1D):
        nn.init.normal_(module.weight, std=_STD)
