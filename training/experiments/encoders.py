"""The encoders that a study may freeze, and the one of which it may teach the last layers.

Shapes: B clips, S samples, T frames, M mel bands, C channels, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from model.captioner import CaptionerModel
from model.checkpoint import load_encoder
from model.config import CaptionerConfig, hearing
from model.contracts import Compilable, Compile, Encoder
from model.encoders import mobilenet
from model.encoders.batches import first
from model.encoders.efficientat import (
    BLOCKS,
    FRAME,
    MELS,
    POOL,
    SAMPLE_RATE,
    WIDTH,
    EfficientAtNetwork,
    KaldiLogMel,
)
from model.encoders.level import level
from model.encoders.parts import InParts
from model.errors import CheckpointError
from model.published import efficientat, yamnet
from model.types import Encoded
from training.captions.ontology import EVENTS

TAGGER, YAMNET = ".pt", ".zip"
"""How the files of EfficientAT's and YAMNet's weights end; a checkpoint is a folder."""
LEARNING = 3
"""Layers of EfficientAT's 17, the last ones, that may learn: 57% of the network's weights."""
BANDS = MELS // POOL
"""Of the maps that these layers take."""


class WholeClips(nn.Module):
    """EfficientAT's network over whole clips: its own frames, two by two, of 0.64 s.

    As CNN14 in the paper: a frame knows of its whole clip, by convolutions and by squeeze and
    excitation. So clips of one length alone are heard in one batch, and none is padded. It costs a
    third of the overlapping windows of ``model.encoders.EfficientAt``.
    """

    sample_rate = SAMPLE_RATE
    frame_s = 2 * FRAME / SAMPLE_RATE
    min_samples = 2 * FRAME
    precise: tuple[str, ...] = ()
    width = WIDTH

    def __init__(self, network: EfficientAtNetwork) -> None:
        super().__init__()
        self.front_end = KaldiLogMel()
        self.network = network
        self._frames: nn.Module = self._layers()

    def _layers(self) -> nn.Module:
        return _Frames(self.network)

    def fold_norms(self) -> None:
        """Nothing is folded."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """The network, but for its classifier."""
        self._frames = compile(self._frames, torch.zeros(2, 4 * POOL, MELS))

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], ``lengths`` [B] all S -> [B, T, D]; the last frame may be of part of 0.64 s.

        Raises ValueError if a clip is shorter than the others.
        """
        frames = _by_twos(self._heard(samples, lengths))
        return Encoded(frames, torch.ones(frames.shape[:2], dtype=torch.bool))

    def _heard(self, samples: Tensor, lengths: Tensor) -> Tensor:
        if bool((lengths != samples.shape[1]).any()):
            raise ValueError("clips that are encoded together must be of one length")
        frames: Tensor = self._frames(self.front_end(level(samples, lengths, SAMPLE_RATE)))
        return frames

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] of any lengths -> frames [T, D] of each."""
        return [self(clip[None], torch.tensor([len(clip)])).frames[0] for clip in clips]


class FirstLayers(WholeClips):
    """The same without its last layers: what those take.

    ``frame_s`` is, as that of ``WholeClips``, of the frames that ``LastLayers`` make of it.
    """

    width = BANDS * BLOCKS[1 - LEARNING].inputs

    def _layers(self) -> nn.Module:
        return _Maps([*self.network.features][:-LEARNING])

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], ``lengths`` [B] all S -> [B, T', C * M], one per 0.32 s.

        Raises ValueError if a clip is shorter than the others.
        """
        frames = self._heard(samples, lengths)
        return Encoded(frames, torch.ones(frames.shape[:2], dtype=torch.bool))


class LastLayers(nn.Module):
    """What ``WholeClips`` makes of what ``FirstLayers`` says: the encoder that may learn.

    Its batch norms are part of its convolutions, so that their statistics stay those of
    pretraining, and channels come last in memory: a step takes less than half as long.
    """

    def __init__(self, network: EfficientAtNetwork) -> None:
        super().__init__()
        layers = nn.Sequential(*deepcopy([*network.features][-LEARNING:])).eval()
        for part in layers.modules():
            if isinstance(part, nn.Sequential) and isinstance(part[0], nn.Conv2d):
                part[0] = fuse_conv_bn_eval(part[0], cast(nn.BatchNorm2d, part[1]))
                part[1] = nn.Identity()
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, kept: Tensor, lengths: Tensor) -> Encoded:
        """[B, T', C * M], zero beyond ``lengths`` [B] -> [B, T, D], zero beyond half of them.

        Clips of other lengths do not matter, as in ``WholeClips``.
        """
        counts = (lengths + 1) // 2
        frames = kept.new_zeros(len(kept), (kept.shape[1] + 1) // 2, WIDTH)
        for length in {*lengths.tolist()}:
            alike = lengths == length
            maps = kept[alike, :length].view(-1, length, kept.shape[2] // BANDS, BANDS)
            maps = maps.permute(0, 2, 3, 1).contiguous(memory_format=torch.channels_last)
            found = self.layers(maps).mean(dim=2).transpose(1, 2)
            frames[alike, : (length + 1) // 2] = _by_twos(found)
        return Encoded(frames, first(counts, frames.shape[1]))


def _by_twos(frames: Tensor) -> Tensor:
    """[B, T', D] -> the means of two each [B, T, D]; of an odd number the last stays alone."""
    return F.avg_pool1d(frames.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)


class _Maps(nn.Module):
    """Layers of ``EfficientAtNetwork``, from the first on, as a module, which a compiler takes."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> channels and bands of each frame [B, T', C * M']."""
        maps = self.layers(log_mel.transpose(1, 2).unsqueeze(1))
        return maps.permute(0, 3, 1, 2).flatten(2)  # type: ignore[no-any-return]


class _Frames(nn.Module):
    """``EfficientAtNetwork.frames`` as a module, which a compiler takes."""

    def __init__(self, network: EfficientAtNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> [B, T', D]."""
        return self.network.frames(log_mel)


class Yamnet(nn.Module):
    """YAMNet as published: a frame is what it makes of 0.96 s, of which the next begins 0.48 s on.

    The last half of a patch is not heard if it is not whole.
    """

    sample_rate = mobilenet.SAMPLE_RATE
    frame_s = mobilenet.PATCH * mobilenet.HOP / mobilenet.SAMPLE_RATE / 2
    min_samples = mobilenet.WINDOW + (mobilenet.PATCH - 1) * mobilenet.HOP
    precise: tuple[str, ...] = ()
    width = mobilenet.CHANNELS[-1]

    def __init__(self, trunk: Mapping[str, Tensor]) -> None:
        """``trunk`` are the weights of a ``mobilenet.Trunk``."""
        super().__init__()
        self.front_end = mobilenet.MagnitudeLogMel()
        self.trunk: nn.Module = mobilenet.Trunk()
        self.trunk.load_state_dict(trunk)

    def fold_norms(self) -> None:
        """Nothing is folded."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """The convolutions."""
        example = torch.zeros(2, mobilenet.PATCH, mobilenet.MELS)
        self.trunk = InParts(self.trunk, compile, example)

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], ``lengths`` [B] all S -> [B, T, D].

        Raises ValueError if a clip is shorter than the others.
        """
        if bool((lengths != samples.shape[1]).any()):
            raise ValueError("clips that are encoded together must be of one length")
        log_mel = self.front_end(samples)
        patches = log_mel.unfold(1, mobilenet.PATCH, mobilenet.PATCH // 2).transpose(2, 3)
        frames = self.trunk(patches.flatten(0, 1)).mean(dim=1).unflatten(0, patches.shape[:2])
        return Encoded(frames, torch.ones(frames.shape[:2], dtype=torch.bool))

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] of any lengths -> frames [T, D] of each."""
        return [self(clip[None], torch.tensor([len(clip)])).frames[0] for clip in clips]


def config(path: Path) -> CaptionerConfig:
    """Of a checkpoint directory; a stage of training and a tagger have that of ``hearing``."""
    if (path / "config.json").exists():
        return CaptionerConfig.from_pretrained(path)
    return hearing(4, EVENTS)


def read(path: Path, compile: Compile | None) -> Encoder:  # noqa: A002
    """The encoder of a checkpoint, of a stage's folder in a run, or of a published file.

    EfficientAT's or YAMNet's, as their suffix tells.

    Raises:
        CheckpointError: it holds none.
    """
    encoder: Encoder
    if path.suffix == TAGGER:
        encoder = WholeClips(efficientat.read_network(path))
    elif path.suffix == YAMNET:
        encoder = Yamnet(yamnet.read_trunk(path))
    else:
        encoder = CaptionerModel(config(path)).encoder
        load_encoder(encoder, path)
    encoder.eval()
    if compile is not None and isinstance(encoder, Compilable):
        encoder.compile_with(compile)
    return encoder


def cut(path: Path, compile: Compile | None) -> tuple[FirstLayers, LastLayers]:  # noqa: A002
    """EfficientAT's network: what stays as it is, and what may learn.

    Raises:
        CheckpointError: ``path`` is not its file.
    """
    if path.suffix != TAGGER:
        raise CheckpointError(f"{path}: of EfficientAT's network alone the last layers may learn")
    network = efficientat.read_network(path)
    encoder = FirstLayers(network)
    encoder.eval()
    if compile is not None:
        encoder.compile_with(compile)
    return encoder, LastLayers(network)
