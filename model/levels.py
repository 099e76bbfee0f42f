"""How loud each frame of a clip is, band by band: what an encoder that evens levels out forgets.

Shapes: B clips, S samples, T encoder frames, W windows of a frame.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model import measures
from model.encoders.mel import triangles
from model.measures import MIDDLE_DB, SILENT_DB, STEP_DB

WINDOWS = 16
"""Of an encoder frame; each reaches into the next."""
F_MIN = 50.0
"""Hz."""


class Levels(nn.Module):
    """Waveforms -> the power of each frame in each of ``bands``, on a scale of decibels."""

    def __init__(
        self, *, bands: int, sample_rate: int, frame_s: float, whole: bool = False
    ) -> None:
        """``sample_rate`` and ``frame_s`` are the encoder's.

        ``whole``: behind its levels each frame has what is measured of the clip as a whole.
        """
        super().__init__()
        self.bands = bands
        self.whole = whole
        self.width = bands + (measures.COUNT if whole else 0)
        self.sample_rate = sample_rate
        self.hop = round(frame_s * sample_rate) // WINDOWS

    def forward(self, samples: Tensor, lengths: Tensor, frames: int) -> Tensor:
        """[B, S], zero beyond ``lengths`` [B], of which there are T ``frames`` -> [B, T, width].

        A frame is as loud as what of it is sound.
        """
        window, filters = _windowed(2 * self.hop, self.sample_rate, self.bands, samples.device)
        size = (frames * WINDOWS + 1) * self.hop
        x = F.pad(samples.float(), (0, max(0, size - samples.shape[1])))[:, :size]
        spectrum = torch.fft.rfft(x.unfold(1, 2 * self.hop, self.hop) * window).abs()
        power = (spectrum.square() @ filters).unflatten(1, (frames, WINDOWS)).mean(dim=2)
        starts = torch.arange(frames, device=lengths.device) * WINDOWS * self.hop
        share = (lengths[:, None] - starts) / (WINDOWS * self.hop)
        power = power / share.clamp(1 / WINDOWS, 1)[:, :, None]
        decibels = 10 * torch.log10(power.clamp(min=10 ** (SILENT_DB / 10)))
        levels = (decibels - MIDDLE_DB) / STEP_DB
        if not self.whole:
            return levels
        told = self._measured(samples, lengths).to(levels)
        return torch.cat([levels, told[:, None].expand(-1, frames, -1)], dim=2)

    def _measured(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """[B, S] -> [B, ``measures.COUNT``]."""
        clips = zip(samples.float().cpu().numpy(), lengths.tolist(), strict=True)
        return torch.tensor(
            [measures.measure(clip[:length], self.sample_rate).scaled for clip, length in clips]
        )


@cache
def _windowed(
    size: int, sample_rate: int, bands: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The window [size], and filters of [size // 2 + 1, bands] from its spectrum to power."""
    window = torch.hann_window(size)
    filters = triangles(sample_rate, size, bands, F_MIN, sample_rate / 2).float()
    # A spectrum's half holds half of the power; what is left is the mean square.
    scale = 2 / (size * window.square().sum())
    return window.to(device), (filters * scale).to(device)
