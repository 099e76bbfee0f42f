"""MobileNetV1 on log-mels, patch by patch, with context between the patches.

The convolutions are YAMNet's (Google; Howard et al. 2017), which hears patches of 0.96 s, each
for itself. So a clip is cut into patches that lie side by side: nothing in a clip or its batch
reaches into a patch, and a patch is small enough for a processor's cache. What lies further away
than a patch is brought in by convolutions over the frames.

Shapes: B clips, S samples, N patches, M mel bands, T frames, D features, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.contracts import Compile
from model.encoders.batches import together
from model.encoders.level import level
from model.encoders.mel import triangles
from model.encoders.parts import InParts
from model.types import Encoded

SAMPLE_RATE = 16_000
WINDOW, HOP, N_FFT, MELS = 400, 160, 512, 64
F_MIN, F_MAX = 125.0, 7_500.0
FLOOR = 0.001
PATCH = 96
"""Log-mel frames."""
POOL = 32
"""Log-mel frames per encoder frame."""
CHANNELS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


class MobileNet(nn.Module):
    """Waveforms -> a frame of ``width`` features per 0.32 s."""

    sample_rate = SAMPLE_RATE
    frame_s = POOL * HOP / SAMPLE_RATE
    min_samples = SAMPLE_RATE // 10
    precise: tuple[str, ...] = ()

    def __init__(self, *, width: int = 384, context: int = 2, kernel: int = 7) -> None:
        """``context`` blocks of ``kernel`` frames each widen what a frame knows."""
        super().__init__()
        self.width = width
        self.front_end = MagnitudeLogMel()
        self.trunk: nn.Module = Trunk()
        self.project = nn.Linear(CHANNELS[-1], width)
        self.context: nn.Module = Context(ContextBlock(width, kernel) for _ in range(context))
        self.norm = nn.LayerNorm(width)

    def fold_norms(self) -> None:
        """Nothing to fold: YAMNet's norms are part of its convolutions already."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """The convolutions, which take nearly all of the time."""
        self.trunk = InParts(self.trunk, compile, torch.zeros(2, PATCH, MELS))
        if not compile.few_shapes:  # clips have as many lengths
            frames = torch.zeros(2, 5, self.width)
            self.context = compile(self.context, frames, torch.ones(2, 5, dtype=torch.bool))

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D].

        The last frame counts if 0.1 s of it is sound.
        """
        # One by one they fit a processor's cache, and no clip is as long as the longest.
        clips = [(samples, lengths)]
        if not samples.is_cuda:
            clips = [*zip(torch.split(samples, 1), torch.split(lengths, 1), strict=True)]
        cut = [self._cut(some[:, : int(theirs.max())], theirs) for some, theirs in clips]
        patches, counts, shift = (torch.cat(each) for each in zip(*cut, strict=True))
        frames = self.project(self.trunk(patches).flatten(0, 1))
        last = _patches_of(counts + shift) * (PATCH // POOL)  # frames of each clip's patches
        places = torch.arange(int(counts.max()), device=samples.device)
        # Where a shorter clip is padded, there need be no frame.
        own = torch.minimum(places + shift[:, None], last[:, None] - 1)
        frames = frames[(last.cumsum(0) - last)[:, None] + own]
        real = places < counts[:, None]
        frames = self.context(frames, real)
        return Encoded(self.norm(frames) * real[:, :, None], real)

    def _cut(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, S] -> the patches [N, 96, M] of all clips; how many frames each has, and had before.

        Both are [B]: its frames, and those of silence that its first patch begins with.
        """
        frame = POOL * HOP
        counts = ((lengths + frame - self.min_samples) // frame).clamp(min=1)
        heard = level(samples, lengths, SAMPLE_RATE)
        before = silence_before(heard)
        shift = (before + POOL // 2) // POOL
        numbers = _patches_of(counts + shift)
        most = int(numbers.max())
        log_mel = self.front_end(_delayed(heard, before * HOP, most * PATCH * HOP + WINDOW - HOP))
        own = torch.arange(most, device=samples.device) < numbers[:, None]
        return log_mel.view(len(samples), most, PATCH, MELS)[own], counts, shift

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] of any lengths -> frames [T, D] of each."""
        return together(self, clips)


def _patches_of(frames: Tensor) -> Tensor:
    """How many patches hold so many encoder frames."""
    return -(-frames * POOL // PATCH)


def silence_before(heard: Tensor) -> Tensor:
    """[B, S] -> [B]: the hops of silence (fewer than ``PATCH``) to be put before each clip.

    They lay the patches where the sound is, not where the clip begins: the energy's component of
    the period of a patch is then in its middle. A clip that is moved is cut into the same patches.
    """
    energy = F.pad(heard, (0, -heard.shape[1] % HOP)).view(len(heard), -1, HOP).square().sum(dim=2)
    angles = torch.arange(energy.shape[1], device=heard.device) * (2 * math.pi / PATCH)
    middle = torch.atan2((energy * angles.sin()).sum(1), (energy * angles.cos()).sum(1))
    return (PATCH / 2 - middle * (PATCH / (2 * math.pi))).round().long() % PATCH


def _delayed(samples: Tensor, by: Tensor, size: int) -> Tensor:
    """[B, S] -> [B, ``size``]: each row begins ``by`` [B] samples later, silence around it."""
    delayed = samples.new_zeros(len(samples), size)
    for row, clip, start in zip(delayed, samples, by.tolist(), strict=True):
        row[start : start + len(clip)] = clip[: size - start]
    return delayed


class MagnitudeLogMel(nn.Module):
    """YAMNet's front end: natural log of a magnitude mel spectrogram (HTK scale)."""

    def forward(self, samples: Tensor) -> Tensor:
        """[B, S] -> [B, T, M], T = 1 + (S - 400) // 160; a frame starts at each hop."""
        windows = samples.float().unfold(1, WINDOW, HOP) * _hann(samples.device)
        filters, heard = _mel_filters(samples.device)
        spectrum = torch.fft.rfft(windows, N_FFT)[..., heard]
        # What abs() is, in half its time.
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return torch.log(power.sqrt_() @ filters + FLOOR)


@cache
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, periodic=True, device=device)


@cache
def _mel_filters(device: torch.device) -> tuple[Tensor, slice]:
    """[bins, M]: triangles in mel (HTK), the constant part left out; and which bins they hear."""
    filters = triangles(SAMPLE_RATE, N_FFT, MELS, F_MIN, F_MAX)
    filters[0] = 0
    some = filters.sum(dim=1).nonzero()
    heard = slice(int(some.min()), int(some.max()) + 1)
    return filters[heard].float().to(device), heard


class Trunk(nn.Module):
    """YAMNet's 27 convolutions, batch norms folded into them."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_SameConv(1, 32, 3, stride=2)]
        inputs = 32
        for outputs, stride in zip(CHANNELS, STRIDES, strict=True):
            layers.append(_SameConv(inputs, inputs, 3, stride=stride, groups=inputs))
            layers.append(_SameConv(inputs, outputs, 1))
            inputs = outputs
        self.convolutions = nn.ModuleList(layers)

    def forward(self, patches: Tensor) -> Tensor:
        """[N, 96, M] float32 -> [N, 3, C]: the two bands averaged."""
        x = patches.to(next(self.parameters()).dtype).unsqueeze(1)
        x = x.contiguous(memory_format=torch.channels_last)
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        return x.mean(dim=3).transpose(1, 2)


class _SameConv(nn.Conv2d):
    """Padded as TensorFlow's "same": with an even stride only at the end."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, M] -> the same, strided."""
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x)


class Context(nn.ModuleList):
    """Its blocks, one after the other."""

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, T, D], of which ``real`` [B, T] count -> the same."""
        for block in self:
            x = block(x, real)
        return x


class ContextBlock(nn.Module):
    """A convolution over time by depth, then two layers on each frame; residual."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[B, T, D], of which ``real`` [B, T] count -> the same."""
        near = self.norm1(x) * real[:, :, None]
        x = x + self.conv(near.transpose(1, 2)).transpose(1, 2)
        near = self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x + near  # type: ignore[no-any-return]
