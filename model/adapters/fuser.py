"""FUSER: several encoders' frames become one stream (EDTC, section 2.2).

What the paper leaves open: sums are followed by a layer norm; the fused stream is joined by a
convolution over time, and carried from layer to layer.

Shapes: B windows, T frames of a window, D features, E encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Fuser(nn.Module):
    """An input layer that has each stream hear the others, then layers that refine all of them."""

    def __init__(self, *, streams: int, width: int, layers: int, heads: int, frames: int) -> None:
        """E ``streams`` of D = ``width``; ``frames`` is T, on which the feature attention is."""
        super().__init__()
        self.begin = _InputLayer(streams, width, heads)
        self.layers = nn.ModuleList(
            _FusionLayer(streams, width, heads, frames) for _ in range(layers)
        )

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        """E times [B, T, D] -> [B, T, D]."""
        streams, fused = self.begin(streams)
        for layer in self.layers:
            streams, fused = layer(streams, fused)
        return cast(Tensor, fused)


class _InputLayer(nn.Module):
    """EFB of each stream and CFB of all; then a feed-forward block that all of them share."""

    def __init__(self, streams: int, width: int, heads: int) -> None:
        super().__init__()
        self.attend = nn.ModuleList(
            nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(streams)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(streams))
        self.join = _Join(streams, width)
        self.feed_forward = FeedForward(width)

    def forward(self, streams: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        heard = []
        for number, (attend, norm) in enumerate(zip(self.attend, self.norms, strict=True)):
            own = streams[number]
            others = [other for place, other in enumerate(streams) if place != number]
            heard.append(norm(own + sum(attend(own, o, o, need_weights=False)[0] for o in others)))
        return [self.feed_forward(one) for one in heard], self.feed_forward(self.join(heard))


class _FusionLayer(nn.Module):
    """SFEB, which the streams share, and PFEB, of which each has its own; then CFB."""

    def __init__(self, streams: int, width: int, heads: int, frames: int) -> None:
        super().__init__()
        self.attend = _Attention(width, heads, frames)
        self.convolve = nn.ModuleList(_Convolutions(width) for _ in range(streams))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(streams))
        self.join = _Join(streams, width)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(self, streams: Sequence[Tensor], fused: Tensor) -> tuple[list[Tensor], Tensor]:
        refined = [
            norm(stream + self.attend(stream) + convolve(stream))
            for stream, convolve, norm in zip(streams, self.convolve, self.norms, strict=True)
        ]
        fused = self.norm(fused + self.join(refined))
        return [self.feed_forward(one) for one in refined], self.feed_forward(fused)


class _Join(nn.Module):
    """CFB: side by side, then a convolution over time back to one width."""

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(streams * width, width, 7, padding=3)

    def forward(self, streams: Sequence[Tensor]) -> Tensor:
        joined: Tensor = self.conv(torch.cat(list(streams), dim=2).transpose(1, 2))
        return joined.transpose(1, 2)


class _Attention(nn.Module):
    """SFEB: self-attention of the frames, and of a third of the features; their sum."""

    def __init__(self, width: int, heads: int, frames: int) -> None:
        super().__init__()
        self.over_time = nn.MultiheadAttention(width, heads, batch_first=True)
        self.reduce = nn.Linear(width, width // 3)
        self.over_features = nn.MultiheadAttention(frames, 1, batch_first=True)
        self.expand = nn.Linear(width // 3, width)

    def forward(self, x: Tensor) -> Tensor:
        frames = self.over_time(x, x, x, need_weights=False)[0]
        features = self.reduce(x).transpose(1, 2)
        features = self.over_features(features, features, features, need_weights=False)[0]
        attended: Tensor = frames + self.expand(features.transpose(1, 2))
        return attended


class _Convolutions(nn.Module):
    """PFEB: three convolutions over time, each with batch norm and ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                layer
                for _ in range(3)
                for layer in (
                    nn.Conv1d(width, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU()
                )
            )
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.layers(x.transpose(1, 2))
        return convolved.transpose(1, 2)


class FeedForward(nn.Module):
    """Four times as wide, GELU, residual, norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> the same."""
        fed: Tensor = self.norm(x + self.fc2(F.gelu(self.fc1(x))))
        return fed
