"""CNN14 of PANNs without its head: the paper's encoder, at any width.

Shapes: B clips, S samples, T frames, M mel bands, C channels, D features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from model.encoders.batches import first
from model.encoders.log_mel import LogMel
from model.types import Encoded

_CPU_BUFFER = 16 << 20
"""Bytes of the widest activation. Beyond 32 MiB glibc maps every buffer anew, and the page faults
cost more than a larger batch saves."""


class Cnn14(nn.Module):
    """Log-mels, batch norm over mel bands, blocks of two 3x3 convolutions and average pooling.

    Padding and neighbours never change a result: after every convolution the frames beyond a
    clip's end are set back to the zeros that the clip alone would have met there, and a pooled
    frame counts only when all of it lies inside the clip. With ``fixed_frames`` the network hears
    the padding, as the DCASE 2023 task 6A baseline does.
    """

    def __init__(
        self,
        *,
        front_end: Mapping[str, Any],
        widths: Sequence[int],
        pools: Sequence[tuple[int, int]],
        dropout: float,
        fixed_frames: int | None = None,
    ) -> None:
        """One block per entry of ``widths`` (channels) and ``pools`` (frames, bands).

        ``front_end`` are the keywords of :class:`LogMel`. ``fixed_frames``: log-mel frames that
        every clip is zero-filled or cut to; None: neither.
        """
        super().__init__()
        self.front_end = LogMel(**front_end)
        self.norm = nn.BatchNorm1d(self.front_end.mels)
        self.blocks = nn.ModuleList(
            ConvBlock(inputs=inputs, outputs=outputs, pool=pool, dropout=dropout)
            for inputs, outputs, pool in zip((1, *widths[:-1]), widths, pools, strict=True)
        )
        self.time_pool = math.prod(pool[0] for pool in pools)
        self.fixed_frames = fixed_frames
        # A few thousand numbers, all felt.
        self.precise = ("norm", *(f"blocks.{number}.norm" for number in range(len(widths))))
        self.sample_rate = self.front_end.sample_rate
        self.width = widths[-1]
        self.frame_s = self.time_pool * self.front_end.hop / self.sample_rate
        self.min_samples = 1 if fixed_frames else (self.time_pool - 1) * self.front_end.hop

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D], T = log-mel frames // time pool.

        Of ``fixed_frames``, if set: a frame then counts when its first log-mel frame is real.
        """
        log_mel = self.front_end.of_clips(samples, lengths)
        return self.from_log_mel(log_mel, self.front_end.frame_counts(lengths))

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each, as the clip alone would give them.

        All are packed together on a GPU; on a CPU as many at once as fit ``_CPU_BUFFER``.
        """
        log_mels = [self.front_end(clip[None])[0] for clip in clips]
        return [frames for part in self._parts(log_mels) for frames in self.packed(part)]

    def fold_norms(self) -> None:
        """Make each batch norm part of the convolution before it; for inference, and for good.

        A tenth of the encoder's time on a CPU. The state dict is another one afterwards.
        """
        for block in self._conv_blocks():
            block.fold_norms()

    def from_log_mel(self, log_mel: Tensor, counts: Tensor) -> Encoded:
        """[B, T, M], of which the first ``counts`` [B] are of the clip -> encoder frames."""
        if self.fixed_frames is None:
            return self._convolve(log_mel, first(counts, log_mel.shape[1]))
        filled = _fill(log_mel, counts, self.fixed_frames)
        frames = self._convolve(filled, torch.ones_like(filled[..., 0], dtype=torch.bool)).frames
        return Encoded(frames, first((counts - 1) // self.time_pool + 1, frames.shape[1]))

    def packed(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Log-mels [T, M] of several clips -> encoder frames [T // time pool, D] of each.

        They are packed into one long clip, with a gap between them that is at least one frame wide
        at every depth. So clips of all lengths are convolved together without padding, and packs
        of few lengths find kernels that were compiled before.
        """
        pool = self.time_pool
        counts = [len(clip) // pool for clip in clips]
        if self.fixed_frames is not None:
            most = self.fixed_frames // pool
            counts = [min((len(clip) - 1) // pool + 1, most) for clip in clips]
            clips = [F.pad(clip, (0, 0, 0, self.fixed_frames - len(clip))) for clip in clips]
        starts = [*accumulate((len(clip) // pool + 1 for clip in clips), initial=0)]
        pack = clips[0].new_zeros(1, _round_up(starts[-1]) * pool, clips[0].shape[1])
        mask = torch.zeros_like(pack[..., 0], dtype=torch.bool)
        for clip, start in zip(clips, starts, strict=False):
            pack[0, start * pool :][: len(clip)] = clip
            mask[0, start * pool :][: len(clip)] = True
        frames = self._convolve(pack, mask).frames[0]
        return [frames[s : s + count] for s, count in zip(starts, counts, strict=False)]

    def _parts(self, log_mels: Sequence[Tensor]) -> Iterator[list[Tensor]]:
        """Split clips [T, M] into what is convolved together."""
        widest = next(self._conv_blocks()).conv1
        frame_bytes = self.front_end.mels * widest.out_channels * widest.weight.itemsize
        room = _CPU_BUFFER / frame_bytes if widest.weight.device.type == "cpu" else math.inf
        part: list[Tensor] = []
        taken = 0
        for log_mel in log_mels:
            frames = self.fixed_frames or len(log_mel)
            if part and taken + frames > room:
                yield part
                part, taken = [], 0
            part.append(log_mel)
            taken += frames
        if part:
            yield part

    def _convolve(self, log_mel: Tensor, mask: Tensor) -> Encoded:
        """[B, T, M], of which ``mask`` [B, T] is of a clip -> the same for encoder frames."""
        x = self.norm(log_mel.to(self.norm.weight.dtype).transpose(1, 2)).transpose(1, 2)
        # Not before the norm: bfloat16 has steps of 0.06 in a logarithm of 8 to 16.
        x = x.to(next(self._conv_blocks()).conv1.weight.dtype)
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        # Where there is no padding, there is nothing to set back, at any depth.
        padded = not bool(mask.all())
        x = _masked(x, mask) if padded else x
        for block in self._conv_blocks():
            x = block(x, mask if padded else None)
            mask = _pool(mask, block.pool[0])
            x = _masked(x, mask) if padded else x
        return Encoded(x.mean(dim=3).transpose(1, 2), mask)

    def _conv_blocks(self) -> Iterator[ConvBlock]:
        return iter(cast(Iterable[ConvBlock], self.blocks))


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

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[B, C, T, M], of which ``mask`` [B, T] is of a clip (None: all) -> the same, pooled."""
        x = F.relu_(self.norm1(self.conv1(x)))
        x = F.relu_(self.norm2(self.conv2(x if mask is None else _masked(x, mask))))
        return cast(Tensor, self.dropout(F.avg_pool2d(x, self.pool)))


def _fill(log_mel: Tensor, counts: Tensor, total: int) -> Tensor:
    """[B, T, M], of which the first ``counts`` [B] are of the clip -> [B, total, M], then zeros."""
    cut = F.pad(log_mel, (0, 0, 0, total - log_mel.shape[1]))
    return cut.masked_fill(~first(counts, total)[:, :, None], 0.0)


def _masked(x: Tensor, mask: Tensor) -> Tensor:
    """[B, C, T, M] with zeros where ``mask`` [B, T] is False."""
    return x * mask[:, None, :, None]


def _pool(mask: Tensor, by: int) -> Tensor:
    """[B, T] bool -> [B, T // by]: which pooled frames lie inside a clip."""
    count = mask.shape[1] // by
    return mask[:, : count * by].reshape(len(mask), count, by).all(dim=2)


def _round_up(count: int) -> int:
    """To the next of eight lengths per octave."""
    step = 1 << max(0, count.bit_length() - 4)
    return -(-count // step) * step
