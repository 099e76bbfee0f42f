"""Taggers of AudioSet at 32 kHz, without their heads: PANNs' CNN14, and ConvNeXt-Tiny.

CNN14: Kong et al. 2020 (qiuqiangkong/audioset_tagging_cnn, MIT), ``Cnn14_mAP=0.431.pth`` of Zenodo
3987831. ConvNeXt: Pellegrini et al. 2023 (topel/audioset-convnext-inf, MIT),
``convnext_tiny_*.pth`` of Zenodo 8020843, or the safetensors of topel/ConvNeXt-Tiny-AT.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import cast

from torch import nn

from model import checkpoint
from model.config import CaptionerConfig, Cnn14Config, ConvNextConfig, panns
from model.encoders import ENCODERS
from model.published.state_dict import fill, read_state_dict

CNN14 = {
    "bn0": "norm",
    **{
        f"conv_block{block + 1}.{theirs}{number}": f"blocks.{block}.{ours}{number}"
        for block in range(6)
        for theirs, ours in (("conv", "conv"), ("bn", "norm"))
        for number in (1, 2)
    },
}
"""PANNs' modules -> ours; within a module weight, bias, running_mean, ... keep their names."""

CONVNEXT = {name: name for name in ("bn0", "downsample_layers", "stages")}
"""The published modules -> ours."""

_FRONT_END = (
    "spectrogram_extractor.stft.conv_real.weight",
    "spectrogram_extractor.stft.conv_imag.weight",
    "logmel_extractor.melW",
)
"""Fourier and mel matrices, which are computed here."""

CNN14_DROPPED, CONVNEXT_DROPPED = (
    (*_FRONT_END, *(f"{layer}.{kind}" for layer in head for kind in ("weight", "bias")))
    for head in (("fc1", "fc_audioset"), ("norm", "head_audioset"))
)
"""The tagging heads, after the mean over time."""


def import_cnn14(source: Path, target: Path, config: Cnn14Config | None = None) -> None:
    """Write PANNs' CNN14 as a directory that ``checkpoint.load_encoder`` reads.

    ``config`` is of its published size unless it is given.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    _import(source, target, config or panns(), CNN14, CNN14_DROPPED)


def import_convnext(source: Path, target: Path, config: ConvNextConfig | None = None) -> None:
    """Write ConvNeXt-Tiny as a directory that ``checkpoint.load_encoder`` reads.

    ``config`` is of its published size unless it is given.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    _import(source, target, config or ConvNextConfig(), CONVNEXT, CONVNEXT_DROPPED)


def _import(
    source: Path,
    target: Path,
    config: Cnn14Config | ConvNextConfig,
    layout: Mapping[str, str],
    dropped: Collection[str],
) -> None:
    encoder = cast(nn.Module, ENCODERS[config.name](**config.keywords()))
    fill(encoder, read_state_dict(source, under="model"), layout, dropped)
    checkpoint.save_encoder(target, encoder, CaptionerConfig(encoder=config))
