"""The concentrated diff block: Takeuchi et al. (DCASE 2023), section 3.2, and its comparison.

A transformer encoder over the frames of both clips. Cross-attention-concentrated, a frame attends
to those of the other clip alone, and what it is itself goes on through the residual; so that a
layer is two cross-attentions that share their weights.

Shapes: B clips, T input frames, R reference frames, D features of a frame, M of the memory.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.difference.places import places
from model.types import Difference, Encoded


class Concentrated(nn.Module):
    """Memory of both clips' frames, the reference's first: what changes from it to the input."""

    makes_memory = True

    def __init__(
        self,
        *,
        width: int,
        memory: int,
        layers: int,
        heads: int,
        ffn: int,
        dropout: float,
        concentrated: bool,
        bands: int,
    ) -> None:
        """D, M; ``concentrated`` False: frames attend to those of their own clip, too.

        Of each frame, its levels in ``bands`` are heard beside it.
        """
        super().__init__()
        self.concentrated = concentrated
        self.bands = bands
        self.project = nn.Linear(width + bands, memory)
        self.clips = nn.Parameter(torch.randn(2, memory) / math.sqrt(memory))
        self.layers = nn.ModuleList(Layer(memory, heads, ffn, dropout) for _ in range(layers))

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        """[B, T, D] and [B, R, D] -> memory [B, R + T, M], in which padding comes last."""
        return self.join(*self.attend(self.enter(reference, 0), self.enter(input, 1)))

    def join(self, before: Encoded, after: Encoded) -> Difference:
        """Both clips' frames, [B, R, M] and [B, T, M], one behind the other."""
        frames = torch.cat([before.frames, after.frames], dim=1)
        mask = torch.cat([before.mask, after.mask], dim=1)
        # A decoder counts the memory's places: they must not depend on how a batch is padded.
        order = mask.byte().argsort(dim=1, descending=True, stable=True)
        memory = frames.gather(1, order[:, :, None].expand_as(frames))
        return Difference(memory, mask.gather(1, order), None)

    def enter(self, clip: Encoded, which: int) -> Encoded:
        """[B, T, D] -> what enters the first layer, [B, T, M]; 0 is the reference, 1 the input."""
        frames = clip.frames
        if self.bands:
            assert clip.levels is not None
            frames = torch.cat([frames, clip.levels[:, :, : self.bands].to(frames.dtype)], dim=2)
        entered = self.project(frames)
        known = places(entered.shape[1], entered.shape[2], entered.device)
        return Encoded(entered + self.clips[which] + known.to(entered.dtype), clip.mask)

    def attend(self, before: Encoded, after: Encoded) -> tuple[Encoded, Encoded]:
        """Each clip [B, T or R, M], having met the other."""
        b, a = before.frames, after.frames
        both = torch.cat([before.mask, after.mask], dim=1)
        for layer in self.layers:
            if self.concentrated:
                b, a = layer(b, a, after.mask), layer(a, b, before.mask)
            else:
                whole = torch.cat([b, a], dim=1)
                b, a = layer(b, whole, both), layer(a, whole, both)
        return Encoded(b, before.mask), Encoded(a, after.mask)


class Layer(nn.Module):
    """Attention, then two layers on each frame; a norm after each sum."""

    def __init__(self, width: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout)
        self.norm1 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, ffn)
        self.fc2 = nn.Linear(ffn, width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, others: Tensor, real: Tensor) -> Tensor:
        """[B, T, M], which attends to ``others`` [B, R, M] where ``real`` [B, R] -> [B, T, M]."""
        x = self.norm1(x + self.dropout(self.attention(x, others, real)))
        found = self.fc2(self.dropout(F.relu(self.fc1(x))))
        return self.norm2(x + self.dropout(found))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Attention of several heads."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, others: Tensor, real: Tensor) -> Tensor:
        """As ``Layer``."""
        query, key, value = (
            each.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(x), self.key(others), self.value(others))
        )
        found = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=real[:, None, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(found.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
