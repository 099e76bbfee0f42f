"""The encoders that a study may freeze.

Shapes: B clips, S samples, T frames, M mel bands, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.checkpoint import load_encoder
from model.config import CaptionerConfig, hearing
from model.contracts import Compilable, Compile, Encoder
from model.encoders.efficientat import (
    FRAME,
    MELS,
    POOL,
    SAMPLE_RATE,
    WIDTH,
    EfficientAtNetwork,
    KaldiLogMel,
)
from model.encoders.level import level
from model.published import efficientat
from model.types import Encoded
from training.captions.ontology import EVENTS

TAGGER = ".pt"
"""How the file of EfficientAT's weights ends; a checkpoint is a folder."""


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
        self._frames: nn.Module = _Frames(network)

    def fold_norms(self) -> None:
        """Nothing is folded."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """The network, but for its classifier."""
        self._frames = compile(self._frames, torch.zeros(2, 4 * POOL, MELS))

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], ``lengths`` [B] all S -> [B, T, D]; the last frame may be of part of 0.64 s.

        Raises ValueError if a clip is shorter than the others.
        """
        if bool((lengths != samples.shape[1]).any()):
            raise ValueError("clips that are encoded together must be of one length")
        frames = self._frames(self.front_end(level(samples, lengths, SAMPLE_RATE)))
        pooled = F.avg_pool1d(frames.transpose(1, 2), 2, ceil_mode=True).transpose(1, 2)
        return Encoded(pooled, torch.ones(pooled.shape[:2], dtype=torch.bool))

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] of any lengths -> frames [T, D] of each."""
        return [self(clip[None], torch.tensor([len(clip)])).frames[0] for clip in clips]


class _Frames(nn.Module):
    """``EfficientAtNetwork.frames`` as a module, which a compiler takes."""

    def __init__(self, network: EfficientAtNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, T, M] -> [B, T', D]."""
        return self.network.frames(log_mel)


def config(path: Path) -> CaptionerConfig:
    """Of a checkpoint directory; a stage of training and a tagger have that of ``hearing``."""
    if (path / "config.json").exists():
        return CaptionerConfig.from_pretrained(path)
    return hearing(4, EVENTS)


def read(path: Path, compile: Compile | None) -> Encoder:  # noqa: A002
    """The encoder of a checkpoint, of a stage's folder in a run, or of EfficientAT's file.

    Raises:
        CheckpointError: it holds none.
    """
    encoder: Encoder
    if path.suffix == TAGGER:
        encoder = WholeClips(efficientat.read_network(path))
    else:
        encoder = CaptionerModel(config(path)).encoder
        load_encoder(encoder, path)
    encoder.eval()
    if compile is not None and isinstance(encoder, Compilable):
        encoder.compile_with(compile)
    return encoder
