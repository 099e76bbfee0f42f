"""HTSAT, the hierarchical token-semantic audio transformer (Chen et al. 2022), at 32 kHz.

A Swin transformer over log-mels of 10 s, whose time axis is cut in four, the pieces stacked along
frequency. A longer clip is heard in windows of 10 s, and what is shorter is tiled to one, as ADIFF
does.

Shapes: B windows, S samples, T frames, D features, H side of an image of tokens, N its windows, C
channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional as F

from model.types import Encoded

SAMPLE_RATE = 32_000
SECONDS = 10
HOP, N_FFT, MELS, F_MIN, F_MAX = 320, 1024, 64, 50.0, 14_000.0
FLOOR = 1e-10
PIECES = 4
"""Of the time axis, one below the other in the image."""
SIDE, PATCH, WINDOW = 256, 4, 8
"""Of the image and of a patch in pixels, and of what attends to each other in patches."""
APART = -100.0
"""Added to the attention of patches that a shift put side by side."""


class Htsat(nn.Module):
    """Waveforms -> frames of a 32nd of 10 s each, or of a whole clip one vector."""

    sample_rate = SAMPLE_RATE
    min_samples = N_FFT // 2 + 1
    """What the front end mirrors at both ends."""
    precise: tuple[str, ...] = ("norm0.",)

    def __init__(
        self, *, width: int, depths: Sequence[int], heads: Sequence[int], pooled: bool
    ) -> None:
        """``width`` is the first stage's, and each has twice the last one's."""
        super().__init__()
        self.pooled = pooled
        self.width = width << (len(depths) - 1)
        side = SIDE // PATCH
        self.columns = PIECES * (side >> (len(depths) - 1))
        self.frame_s = SECONDS if pooled else SECONDS / self.columns
        self.norm0 = nn.BatchNorm2d(MELS)
        self.patches = _Patches(width)
        self.stages = nn.ModuleList(
            _Stage(width << n, depth, heads[n], side >> n, merges=n + 1 < len(depths))
            for n, depth in enumerate(depths)
        )
        self.norm = nn.LayerNorm(self.width)

    def fold_norms(self) -> None:
        """Nothing is folded: its norms stand before maps that are not linear."""

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D]; T is 1 if it is pooled."""
        clips = [clip[:count] for clip, count in zip(samples, lengths.tolist(), strict=True)]
        return Encoded.join([Encoded.of(frames) for frames in self._heard(clips)])

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each; one clip at a time, all of its windows."""
        return [self._heard([clip])[0] for clip in clips]

    def _heard(self, clips: Sequence[Tensor]) -> list[Tensor]:
        cut = [_windows(clip) for clip in clips]
        found = torch.split(self._frames(torch.cat(cut)), [len(windows) for windows in cut])
        if self.pooled:
            return [windows.mean(dim=(0, 1))[None] for windows in found]
        counts = [-(-len(clip) * self.columns // (SECONDS * SAMPLE_RATE)) for clip in clips]
        return [windows.flatten(0, 1)[:count] for windows, count in zip(found, counts, strict=True)]

    def _frames(self, windows: Tensor) -> Tensor:
        """[B, S] of ``SECONDS`` each -> [B, 32, D]."""
        log_mel = _log_mel(windows)[:, None].transpose(1, 3)  # [B, M, T, 1]
        x = self.norm0(log_mel.to(self.norm0.weight.dtype)).transpose(1, 3)
        x = self.patches(_image(x).to(self.norm.weight.dtype))
        for stage in self.stages:
            x = stage(x)
        x = self.norm(x)  # [B, H, H, D], of which each piece has H / PIECES rows
        return x.unflatten(1, (PIECES, -1)).mean(dim=2).flatten(1, 2)  # type: ignore[no-any-return]


class _Patches(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(1, width, PATCH, stride=PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 1, 256, 256] -> [B, 64, 64, C]."""
        return self.norm(self.project(image).permute(0, 2, 3, 1))  # type: ignore[no-any-return]


class _Stage(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, side: int, *, merges: bool) -> None:
        super().__init__()
        shift = WINDOW // 2 if side > WINDOW else 0
        self.blocks = nn.ModuleList(
            _Block(width, heads, min(side, WINDOW), shift * (n % 2)) for n in range(depth)
        )
        self.merge = _Merge(width) if merges else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, H, C] -> [B, H / 2, H / 2, 2 C], or where nothing is merged the same shape."""
        for block in self.blocks:
            x = block(x)
        return x if self.merge is None else self.merge(x)


class _Block(nn.Module):
    """Attention in windows, in every other block moved by half of one; then two layers."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attention = _Attention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        side, shift = x.shape[1], self.shift
        moved = self.norm1(x).roll((-shift, -shift), (1, 2))
        apart = _apart(side, self.window, shift, x.device).to(x.dtype) if shift else None
        found = self.attention(_cut(moved, self.window), apart)
        x = x + _joined(found, side, self.window).roll((shift, shift), (1, 2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))  # type: ignore[no-any-return]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)

    def forward(self, x: Tensor, apart: Tensor | None) -> Tensor:
        """[B, N, W, C] of W patches a window; ``apart`` [N, W, W] is added to the attention."""
        query, key, value = (
            self.qkv(x).unflatten(3, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        )  # [B, N, heads, W, C / heads]
        bias = self.bias[_places(self.window, x.device)].permute(2, 0, 1)  # [heads, W, W]
        mask = bias if apart is None else bias + apart[:, None]
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.project(found.transpose(2, 3).flatten(3))  # type: ignore[no-any-return]


class _Merge(nn.Module):
    """Two by two patches become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(parts, dim=3)))  # type: ignore[no-any-return]


def _windows(clip: Tensor) -> Tensor:
    """[S] -> [B, 10 s]: one after the other, of which the last is tiled."""
    size = SECONDS * SAMPLE_RATE
    whole = len(clip) // size * size
    rest = clip[whole:]
    # A rest too short to be heard alone is left out.
    if whole and len(rest) < Htsat.min_samples:
        return clip[:whole].view(-1, size)
    last = rest.repeat(-(-size // len(rest)))[:size]
    return torch.cat([clip[:whole], last]).view(-1, size)


def _log_mel(samples: Tensor) -> Tensor:
    """[B, S] -> decibels [B, T, M]."""
    window = torch.hann_window(N_FFT, device=samples.device)
    spectrum = torch.stft(
        samples.float(), N_FFT, HOP, window=window, center=True, pad_mode="reflect",
        return_complex=True,
    )  # fmt: skip
    power = spectrum.real.square() + spectrum.imag.square()
    return 10 * torch.log10((power.transpose(1, 2) @ _filters(samples.device)).clamp(min=FLOOR))


def _image(log_mel: Tensor) -> Tensor:
    """[B, 1, T, M] -> [B, 1, 256, 256]: four stretches of time, one below the other."""
    stretched = F.interpolate(log_mel, (SIDE * PIECES, MELS), mode="bicubic", align_corners=True)
    return stretched.reshape(-1, PIECES, SIDE, MELS).transpose(2, 3).reshape(-1, 1, SIDE, SIDE)


def _cut(x: Tensor, window: int) -> Tensor:
    """[B, H, H, C] -> [B, N, W, C]."""
    clips, side, _, width = x.shape
    count = side // window
    rows = x.reshape(clips, count, window, count, window, width).transpose(2, 3)
    return rows.reshape(clips, count**2, window**2, width)


def _joined(x: Tensor, side: int, window: int) -> Tensor:
    """The inverse of ``_cut``."""
    clips, _, _, width = x.shape
    count = side // window
    rows = x.reshape(clips, count, count, window, window, width).transpose(2, 3)
    return rows.reshape(clips, side, side, width)


@cache
def _filters(device: torch.device) -> Tensor:
    """[513, M]."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        N_FFT // 2 + 1, F_MIN, F_MAX, MELS, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    return filters.to(device)


@cache
def _places(window: int, device: torch.device) -> Tensor:
    """[W, W]: which bias each patch of a window has for each."""
    steps = torch.arange(window, device=device)
    rows, columns = (part.flatten() for part in torch.meshgrid(steps, steps, indexing="ij"))
    down = rows[:, None] - rows + window - 1
    return down * (2 * window - 1) + columns[:, None] - columns + window - 1


@cache
def _apart(side: int, window: int, shift: int, device: torch.device) -> Tensor:
    """[N, W, W]: ``APART`` between patches that are neighbours by the shift alone."""
    steps = torch.arange(side, device=device)
    band = (steps >= side - window).long() + (steps >= side - shift).long()
    region = (3 * band[:, None] + band)[None, :, :, None]
    cut = _cut(region, window)[0, :, :, 0]
    return torch.where(cut[:, :, None] == cut[:, None], 0.0, APART)
