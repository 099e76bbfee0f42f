"""ConvNeXt on log-mels, without its head: a published AudioSet tagger as an encoder, at any width.

Pellegrini, Khalfaoui-Hassani, Labbé, Masquelier: "Adapting a ConvNeXt model to audio classification
on AudioSet", Interspeech 2023. State-dict names are those of the published file.

Shapes: B clips, S samples, T frames, M mel bands, C channels, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.log_mel import LogMel
from model.types import Encoded

_POOL = 32
"""Log-mel frames per encoder frame: a stem of stride 4, then three strides of 2."""
_EPS = 1e-6
_GAMMA = 1e-6
"""Of each block's scale, at first."""


class ConvNext(nn.Module):
    """Waveforms -> a frame of features per 32 log-mel frames, the mel bands averaged.

    Clips of one length are convolved together, others apart: so nobody hears padding.
    """

    precise: tuple[str, ...] = ("bn0",)

    def __init__(
        self, *, front_end: Mapping[str, Any], widths: Sequence[int], depths: Sequence[int]
    ) -> None:
        """One stage per entry of ``widths`` (channels) and ``depths`` (blocks).

        ``front_end`` are the keywords of :class:`LogMel`.
        """
        super().__init__()
        self.front_end = LogMel(**front_end)
        self.bn0 = nn.BatchNorm2d(self.front_end.mels)
        stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 4, stride=4, padding=(4, 0)), _ChannelNorm(widths[0])
        )
        halvings = (
            nn.Sequential(_ChannelNorm(before), nn.Conv2d(before, after, 2, stride=2))
            for before, after in pairwise(widths)
        )
        self.downsample_layers = nn.ModuleList([stem, *halvings])
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(width) for _ in range(depth)))
            for width, depth in zip(widths, depths, strict=True)
        )
        self.sample_rate = self.front_end.sample_rate
        self.width = widths[-1]
        self.frame_s = _POOL * self.front_end.hop / self.sample_rate
        # The stem's padding makes two frames more of a clip; a reflection needs half a window.
        self.min_samples = max((_POOL - 8) * self.front_end.hop, self.front_end.n_fft // 2 + 1)

    def fold_norms(self) -> None:
        """Nothing is folded: its norms are of layers."""

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D]."""
        clips = [clip[:length] for clip, length in zip(samples, lengths.tolist(), strict=True)]
        return Encoded.join([Encoded.of(frames) for frames in self.encode(clips)])

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each."""
        found: dict[int, Tensor] = {}
        lengths = [len(clip) for clip in clips]
        for length in set(lengths):
            rows = [row for row, each in enumerate(lengths) if each == length]
            frames = self.from_log_mel(self.front_end(torch.stack([clips[row] for row in rows])))
            found |= dict(zip(rows, frames, strict=True))
        return [found[row] for row in range(len(clips))]

    def from_log_mel(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> [B, T', D]."""
        x = self.bn0(log_mel.to(self.bn0.weight.dtype).transpose(1, 2)[..., None])
        x = x.permute(0, 3, 2, 1).to(self.downsample_layers[0][0].weight.dtype)  # type: ignore[index]
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        frames: Tensor = x.mean(dim=3).transpose(1, 2)
        return frames


class _Block(nn.Module):
    """Depthwise 7x7, layer norm, two linear layers with GELU between, scaled; residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), _GAMMA))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, M] -> the same."""
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        added: Tensor = x + y.permute(0, 3, 1, 2)
        return added


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of [B, C, T, M]."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
