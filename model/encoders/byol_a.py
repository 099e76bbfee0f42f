"""BYOL-A's network as frames (Niizumi et al., IJCNN 2021 and TASLP 2023): ADC's encoder.

Its tagging form ends in a pool over time, which captions do without. The published weights are
under a licence of their own (``model.published.byol_a``); none of them are needed to train one.

Shapes: B clips, S samples, T frames, M mel bands, C channels, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoders.batches import by_device, first
from model.encoders.mel import triangles
from model.types import Encoded

SAMPLE_RATE = 16_000
N_FFT, HOP, MELS = 1024, 160, 64
F_MIN, F_MAX = 60.0, 7_800.0
FLOOR = torch.finfo(torch.float32).eps
CHANNELS = 64


class ByolA(nn.Module):
    """Log-mels, blocks of a convolution and max pooling, then two layers on each frame.

    Padding and neighbours never change a result: frames beyond a clip's end are set back to zero
    before each convolution, and a pooled frame counts only when all of it lies inside the clip.
    """

    sample_rate = SAMPLE_RATE
    precise: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        front_end: Mapping[str, Any],
        blocks: int,
        hidden: int,
        width: int,
        joined: bool,
        dropout: float,
    ) -> None:
        """``front_end`` are the keywords of ``NormalizedLogMel``, ``width`` is D.

        Each of the ``blocks`` halves time and bands; ``joined``: what they give stands beside what
        the two layers make of it.
        """
        super().__init__()
        self.front_end = NormalizedLogMel(**front_end)
        self.blocks = nn.ModuleList(
            Block(CHANNELS if number else 1, CHANNELS) for number in range(blocks)
        )
        flat = CHANNELS * (MELS >> blocks)
        self.fc1 = nn.Linear(flat, hidden)
        self.fc2 = nn.Linear(hidden, width - flat if joined else width)
        self.dropout = nn.Dropout(dropout)
        self.joined = joined
        self.width = width
        self.time_pool = 1 << blocks
        self.frame_s = self.time_pool * HOP / SAMPLE_RATE
        self.min_samples = (self.time_pool - 1) * HOP

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D], T = log-mel frames // time pool."""
        x = self.front_end(samples)
        counts = 1 + lengths // HOP
        x = x.to(self.fc1.weight.dtype).transpose(1, 2).unsqueeze(1)
        for block in self.blocks:
            x = block(x * first(counts, x.shape[3])[:, None, None])
            counts = counts // 2
        flat = x.permute(0, 3, 2, 1).flatten(2)  # mel-major, as published
        found = F.relu(self.fc2(self.dropout(F.relu(self.fc1(flat)))))
        return Encoded(
            torch.cat([flat, found], dim=2) if self.joined else found,
            first(counts, flat.shape[1]),
        )

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each."""
        return by_device(self, clips)

    def fold_norms(self) -> None:
        """Nothing is folded."""


class Block(nn.Module):
    """conv3x3, BN, ReLU, max pooling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, T] -> [B, C, M // 2, T // 2]."""
        return F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)


class NormalizedLogMel(nn.Module):
    """Natural log of a power mel spectrogram (HTK scale), on the scale of its training set."""

    def __init__(self, *, mean: float, std: float) -> None:
        """Those of the log-mels that the weights were trained on."""
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, samples: Tensor) -> Tensor:
        """[B, S] -> [B, T, M], T = 1 + S // 160; zeros lie beyond both ends."""
        spectrum = torch.stft(
            samples.float(),
            N_FFT,
            hop_length=HOP,
            window=_hann(samples.device),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        log_mel = torch.log(power.transpose(1, 2) @ _mel_filters(samples.device) + FLOOR)
        return (log_mel - self.mean) / self.std


@cache
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT, periodic=True, device=device)


@cache
def _mel_filters(device: torch.device) -> Tensor:
    """[N_FFT // 2 + 1, M]."""
    return triangles(SAMPLE_RATE, N_FFT, MELS, F_MIN, F_MAX).float().to(device)
