"""CNN14 of PANNs without its head: the paper's encoder, at any width.

Shapes: B clips, S samples, T frames, M mel bands, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from model.encoders.log_mel import LogMel
from model.types import Encoded


class Cnn14(nn.Module):
    """Batch norm over mel bands, then blocks of two 3x3 convolutions and average pooling.

    Padding and neighbours never change a result: after every convolution the frames beyond a
    clip's end are set back to the zeros that the clip alone would have met there, and a pooled
    frame counts only when all of it lies inside the clip. With ``fixed_frames`` the network hears
    the padding, as the DCASE 2023 task 6A baseline does.
    """

    def __init__(
        self,
        *,
        front_end: LogMel,
        widths: Sequence[int],
        pools: Sequence[tuple[int, int]],
        dropout: float,
        fixed_frames: int | None = None,
    ) -> None:
        """One block per entry of ``widths`` (channels) and ``pools`` (frames, bands).

        ``fixed_frames``: log-mel frames that every clip is zero-filled or cut to; None: neither.
        """
        super().__init__()
        self.front_end = front_end
        self.norm = nn.BatchNorm1d(front_end.mels)
        self.blocks = nn.ModuleList(
            ConvBlock(inputs=inputs, outputs=outputs, pool=pool, dropout=dropout)
            for inputs, outputs, pool in zip((1, *widths[:-1]), widths, pools, strict=True)
        )
        self.width = widths[-1]
        self.time_pool = math.prod(pool[0] for pool in pools)
        self.fixed_frames = fixed_frames

    @property
    def frame_s(self) -> float:
        """Seconds of sound per encoder frame."""
        return self.time_pool * self.front_end.hop / self.front_end.sample_rate

    @property
    def min_samples(self) -> int:
        """The shortest clip that gives one encoder frame."""
        return (self.time_pool - 1) * self.front_end.hop if self.fixed_frames is None else 1

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D], T = log-mel frames // time pool.

        Of ``fixed_frames``, if set: a frame then counts when its first log-mel frame is real.
        """
        return self.from_log_mel(self.front_end(samples), self.front_end.frame_counts(lengths))

    def fold_norms(self) -> None:
        """Make each batch norm part of the convolution before it; for inference, and for good.

        A tenth of the encoder's time on a CPU. The state dict is another one afterwards.
        """
        for block in cast(Iterable[ConvBlock], self.blocks):
            block.fold_norms()

    def from_log_mel(self, log_mel: Tensor, frames: Tensor) -> Encoded:
        """[B, T, M] of which ``frames`` [B] are real -> encoder frames."""
        if self.fixed_frames is None:
            return self._convolve(log_mel, _first(frames, log_mel.shape[1]))
        filled = _fill(log_mel, frames, self.fixed_frames)
        heard = self._convolve(filled, torch.ones_like(filled[..., 0], dtype=torch.bool)).frames
        return Encoded(heard, _first((frames - 1) // self.time_pool + 1, heard.shape[1]))

    def in_a_row(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Log-mels [T, M] of several clips -> encoder frames [T // time pool, D] of each.

        They lie one behind the other in one long clip, with a gap between them that is at least one
        frame wide at every depth. So clips of all lengths are convolved together without padding,
        and rows of few lengths find kernels that were compiled before.
        """
        pool = self.time_pool
        counts = [len(clip) // pool for clip in clips]
        if self.fixed_frames is not None:
            most = self.fixed_frames // pool
            counts = [min((len(clip) - 1) // pool + 1, most) for clip in clips]
            clips = [F.pad(clip, (0, 0, 0, self.fixed_frames - len(clip))) for clip in clips]
        starts = [*accumulate((len(clip) // pool + 1 for clip in clips), initial=0)]
        row = clips[0].new_zeros(1, _round_up(starts[-1]) * pool, clips[0].shape[1])
        real = torch.zeros_like(row[..., 0], dtype=torch.bool)
        for clip, start in zip(clips, starts, strict=False):
            row[0, start * pool :][: len(clip)] = clip
            real[0, start * pool :][: len(clip)] = True
        heard = self._convolve(row, real).frames[0]
        return [heard[s : s + count] for s, count in zip(starts, counts, strict=False)]

    def _convolve(self, log_mel: Tensor, real: Tensor) -> Encoded:
        """[B, T, M] of which ``real`` [B, T] is sound -> the same for encoder frames."""
        x = self.norm(log_mel.to(self.norm.weight.dtype).transpose(1, 2)).transpose(1, 2)
        # Not before the norm: bfloat16 has steps of 0.06 in a logarithm of 8 to 16.
        x = x.to(cast(ConvBlock, self.blocks[0]).conv1.weight.dtype)
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        # Where nothing but sound is, there is nothing to set back, at any depth.
        padded = not bool(real.all())
        x = _silence(x, real) if padded else x
        for block in cast(Iterable[ConvBlock], self.blocks):
            x = block(x, real if padded else None)
            real = _pool(real, block.pool[0])
            x = _silence(x, real) if padded else x
        return Encoded(x.mean(dim=3).transpose(1, 2), real)


class ConvBlock(nn.Module):
    """conv3x3, BN, ReLU, conv3x3, BN, ReLU, average pooling, dropout; no convolution bias."""

    def __init__(self, *, inputs: int, outputs: int, pool: tuple[int, int], dropout: float) -> None:
        """Channels in and out; ``pool`` is (frames, bands)."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(outputs)
        self.pool = pool
        self.dropout = nn.Dropout(dropout)

    def fold_norms(self) -> None:
        """As in :meth:`Cnn14.fold_norms`."""
        self.conv1 = fuse_conv_bn_eval(self.conv1, cast(nn.BatchNorm2d, self.norm1))
        self.conv2 = fuse_conv_bn_eval(self.conv2, cast(nn.BatchNorm2d, self.norm2))
        self.norm1 = self.norm2 = nn.Identity()

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """[B, C, T, M], of which ``real`` [B, T] is sound (None: all) -> the same, pooled."""
        x = F.relu_(self.norm1(self.conv1(x)))
        x = F.relu_(self.norm2(self.conv2(x if real is None else _silence(x, real))))
        return cast(Tensor, self.dropout(F.avg_pool2d(x, self.pool)))


def _fill(log_mel: Tensor, frames: Tensor, total: int) -> Tensor:
    """[B, T, M] of which ``frames`` [B] are real -> [B, total, M], zeros beyond them."""
    cut = F.pad(log_mel, (0, 0, 0, total - log_mel.shape[1]))
    return cut.masked_fill(~_first(frames, total)[:, :, None], 0.0)


def _silence(x: Tensor, real: Tensor) -> Tensor:
    """[B, C, T, M] with zeros where ``real`` [B, T] is False."""
    return x * real[:, None, :, None]


def _pool(real: Tensor, by: int) -> Tensor:
    """[B, T] bool -> [B, T // by]: which pooled frames lie inside a clip."""
    count = real.shape[1] // by
    return real[:, : count * by].reshape(len(real), count, by).all(dim=2)


def _first(counts: Tensor, total: int) -> Tensor:
    """[B] counts -> [B, total] bool: True on so many."""
    return torch.arange(total, device=counts.device) < counts[:, None]


def _round_up(count: int) -> int:
    """To the next of eight lengths per octave."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step
