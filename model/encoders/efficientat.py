"""EfficientAT's MobileNetV3 (mn04_as): the network and front end of a published AudioSet tagger.

Schmid, Koutini, Widmer: "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge
Distillation", ICASSP 2023. State-dict names are those of the published file.

Shapes: B clips, S samples, T frames, M mel bands, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.contracts import Compile
from model.encoders.batches import by_device, first
from model.encoders.level import level
from model.encoders.mel import triangles
from model.types import Encoded

SAMPLE_RATE = 32_000
HOP = 320
POOL = 32
"""Log-mel frames per encoder frame: five strides of two."""
WIDTH = 384
FRAME = POOL * HOP
WINDOW, STEP = 6, 2
"""Frames of a window, and from one to the next."""
PRE_EMPHASIS = 0.97
N_FFT, TAPS, MELS, F_MAX = 1024, 800, 128, 15_000.0
NORM_EPS = 1e-3


class _Block(NamedTuple):
    """Channels in, expanded, out; kernel; stride; squeezed channels (0: none); activation."""

    inputs: int
    expanded: int
    outputs: int
    kernel: int
    stride: int
    squeeze: int
    hard: bool


BLOCKS = (
    _Block(8, 8, 8, 3, 1, 0, False),
    _Block(8, 24, 16, 3, 2, 0, False),
    _Block(16, 32, 16, 3, 1, 0, False),
    _Block(16, 32, 16, 5, 2, 8, False),
    _Block(16, 48, 16, 5, 1, 16, False),
    _Block(16, 48, 16, 5, 1, 16, False),
    _Block(16, 96, 32, 3, 2, 0, True),
    _Block(32, 80, 32, 3, 1, 0, True),
    _Block(32, 72, 32, 3, 1, 0, True),
    _Block(32, 72, 32, 3, 1, 0, True),
    _Block(32, 192, 48, 3, 1, 48, True),
    _Block(48, 272, 48, 3, 1, 72, True),
    _Block(48, 272, 64, 5, 2, 72, True),
    _Block(64, 384, 64, 5, 1, 96, True),
    _Block(64, 384, 64, 5, 1, 96, True),
)


class EfficientAt(nn.Module):
    """Waveforms -> a frame of 384 features per 0.32 s: the published network as an encoder.

    Its squeeze-and-excitation hears the whole of what it is given, and makes nothing sensible of
    single frames of it. So it is given windows of one length, and a frame is the mean over the
    windows that it lies in. Neither its clip's length nor its neighbours matter.
    """

    sample_rate = SAMPLE_RATE
    frame_s = POOL * HOP / SAMPLE_RATE
    min_samples = SAMPLE_RATE // 10
    precise: tuple[str, ...] = ()
    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.front_end = KaldiLogMel()
        self.network: nn.Module = EfficientAtNetwork()

    def fold_norms(self) -> None:
        """Nothing is folded yet."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """The network, which takes nearly all of the time."""
        self.network = compile(self.network, torch.zeros(2, WINDOW * POOL, MELS))

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D]; 0.1 s of sound make a last frame."""
        counts = ((lengths + FRAME - self.min_samples) // FRAME).clamp(min=1)
        # What a clip has windows for alone: more of them over padding would change its frames.
        windows = (counts.clamp(min=WINDOW) - WINDOW + STEP - 1) // STEP + 1
        number = int(windows.max())
        total = (number - 1) * STEP + WINDOW
        heard = level(samples, lengths, SAMPLE_RATE)
        heard = F.pad(heard, (0, total * FRAME - samples.shape[1]))
        cut = heard.unfold(1, WINDOW * FRAME, STEP * FRAME)
        features = self.network(self.front_end(cut.flatten(0, 1)))[1].view(len(samples), number, -1)
        own = first(windows, number).to(features.dtype)
        # Each window's features go to all of its frames, and its share of one beside them.
        shares = torch.cat([features, own[:, :, None]], dim=2) * own[:, :, None]
        columns = shares.transpose(1, 2).repeat_interleave(WINDOW, dim=1)
        summed = F.fold(columns, (1, total), (1, WINDOW), stride=(1, STEP))[:, :, 0]
        frames = (summed[:, :-1] / summed[:, -1:].clamp(min=1)).transpose(1, 2)
        longest = int(counts.max())
        real = first(counts, longest)
        return Encoded(frames[:, :longest] * real[:, :, None], real)

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] of any lengths -> frames [T, D] of each."""
        return by_device(self, clips)


class EfficientAtNetwork(nn.Module):
    """Log-mels -> features, and the published classifier of 527 AudioSet kinds over them."""

    def __init__(self, kinds: int = 527) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(1, 8, 3, stride=2, activation=nn.Hardswish)]
        layers += [_InvertedResidual(block) for block in BLOCKS]
        layers.append(_conv(64, WIDTH, 1, activation=nn.Hardswish))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Identity(), nn.Identity(), nn.Linear(WIDTH, 512), nn.Hardswish(), nn.Identity(),
            nn.Linear(512, kinds),
        )  # fmt: skip

    def frames(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> [B, T', 384] per 0.32 s, the four bands averaged."""
        log_mel = log_mel.to(next(self.parameters()).dtype)
        found = self.features(log_mel.transpose(1, 2).unsqueeze(1))
        return found.mean(dim=2).transpose(1, 2)  # type: ignore[no-any-return]

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, M] -> logits [B, 527] and the pooled features [B, 384] of whole clips."""
        pooled = self.frames(log_mel).mean(dim=1)
        return self.classifier(pooled), pooled


class KaldiLogMel(nn.Module):
    """The front end that the published weights expect."""

    def forward(self, samples: Tensor) -> Tensor:
        """[B, S] at 32 kHz -> [B, T, 128], T = 1 + (S - 1) // 320."""
        samples = samples.float()
        emphasized = samples[:, 1:] - PRE_EMPHASIS * samples[:, :-1]
        spectrum = torch.stft(
            emphasized,
            N_FFT,
            hop_length=HOP,
            win_length=TAPS,
            window=_hann(samples.device),
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = power.transpose(1, 2) @ _mel_filters(samples.device)
        return ((mel + 1e-5).log() + 4.5) / 5


@cache
def _hann(device: torch.device) -> Tensor:
    return torch.hann_window(TAPS, periodic=False, device=device)


@cache
def _mel_filters(device: torch.device) -> Tensor:
    """[N_FFT // 2 + 1, M]: triangles in mel (Kaldi), 0 Hz to ``F_MAX``."""
    filters = triangles(SAMPLE_RATE, N_FFT, MELS, 0.0, F_MAX)
    filters[-1] = 0  # Kaldi leaves the bin at the Nyquist frequency out
    return filters.float().to(device)


def _conv(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=NORM_EPS),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


class _InvertedResidual(nn.Module):
    """Expand, filter by depth, squeeze and excite, project (MobileNetV3)."""

    def __init__(self, block: _Block) -> None:
        super().__init__()
        act = nn.Hardswish if block.hard else nn.ReLU
        layers: list[nn.Module] = []
        if block.expanded != block.inputs:
            layers.append(_conv(block.inputs, block.expanded, 1, activation=act))
        layers.append(
            _conv(
                block.expanded,
                block.expanded,
                block.kernel,
                stride=block.stride,
                groups=block.expanded,
                activation=act,
            )
        )
        if block.squeeze:
            layers.append(_SqueezeExcite(block.expanded, block.squeeze))
        layers.append(_conv(block.expanded, block.outputs, 1))
        self.block = nn.Sequential(*layers)
        self.residual = block.stride == 1 and block.inputs == block.outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, T] -> the same, strided."""
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class _SqueezeExcite(nn.Module):
    """Scales channels by what the whole clip holds."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_SqueezeExciteLayer(width, squeeze)])

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, M, T] -> the same."""
        scale: Tensor = self.conc_se_layers[0](x.mean(dim=(2, 3)))
        return x * scale[:, :, None, None]


class _SqueezeExciteLayer(nn.Module):
    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, squeeze)
        self.fc2 = nn.Linear(squeeze, width)

    def forward(self, pooled: Tensor) -> Tensor:
        return torch.sigmoid(self.fc2(F.relu(self.fc1(pooled))))
