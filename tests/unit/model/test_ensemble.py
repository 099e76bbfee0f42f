"""Encoders side by side: each hears at its own rate, and all on one grid of frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.functional import resample
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel, build
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    Cnn14Config,
    ConvNextConfig,
    EdtcAdapterConfig,
    EnsembleConfig,
    HtsatConfig,
    LogMelConfig,
    TranslatorConfig,
)
from model.encoders import Ensemble

FRONT_END = LogMelConfig(sample_rate=16_000, window=400, hop=160, n_fft=512, mels=16)
CONFIG = EnsembleConfig(
    parts=(
        Cnn14Config(front_end=FRONT_END, widths=(4, 6), pools=((4, 2), (4, 2)), dropout=0.0),
        HtsatConfig(width=4, depths=(1, 2), heads=(1, 2), pooled=False),
        ConvNextConfig(widths=(4, 4, 6, 8), depths=(1, 1, 1, 1)),
    )
)
LENGTHS = (32_000, 9000, 41_717)


@pytest.fixture(scope="module")
def encoder() -> Ensemble:
    torch.manual_seed(0)
    config = CaptionerConfig(encoder=CONFIG, adapter=EdtcAdapterConfig(streams=(6, 8, 8)))
    built = build(config).encoder
    assert isinstance(built, Ensemble)
    return built.eval()


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [0.1 * torch.randn(length, generator=generator) for length in LENGTHS]


@pytest.mark.parametrize("seconds", [1, 12])
def test_each_part_hears_at_its_own_rate(encoder: Ensemble, seconds: int) -> None:
    """Also beyond the ten seconds of HTSAT, which then hears windows."""
    assert (encoder.sample_rate, encoder.width) == (32_000, 22)
    clip = 0.1 * torch.randn(seconds * 32_000, generator=torch.Generator().manual_seed(1))
    [frames] = encoder.encode([clip])
    assert frames.shape == (math.ceil(seconds / 0.32), 22)
    for part, rate, own in zip(
        encoder.parts, (16_000, 32_000, 32_000), frames.split([6, 8, 8], dim=1), strict=True
    ):
        [heard] = part.encode([resample(clip, 32_000, rate)])
        stretched = F.interpolate(heard.t()[None], len(own), mode="linear")[0].t()
        torch.testing.assert_close(own, stretched)


def test_ten_seconds_are_32_frames(encoder: Ensemble) -> None:
    [frames] = encoder.encode([torch.randn(320_000)])
    assert len(frames) == 32


def test_padding_and_neighbours_change_nothing(encoder: Ensemble, clips: list[Tensor]) -> None:
    padded = nn.utils.rnn.pad_sequence(clips, batch_first=True)
    batch = encoder(padded, torch.tensor(LENGTHS)).split()
    for clip, one, other in zip(clips, batch, encoder.encode(clips), strict=True):
        [alone] = encoder.encode([clip])
        torch.testing.assert_close(one.frames[0], alone, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(other, alone, rtol=1e-4, atol=1e-4)


def test_the_shortest_clip_that_all_can_hear(encoder: Ensemble) -> None:
    assert encoder.min_samples > 1
    [frames] = encoder.encode([torch.randn(encoder.min_samples)])
    assert frames.shape == (1, 22)
    assert frames.isfinite().all()


def test_what_stays_precise(encoder: Ensemble) -> None:
    kept = [name for name, _ in encoder.named_parameters() if name.startswith(encoder.precise)]
    assert {name.split(".")[1] for name in kept} == {"0", "1", "2"}
    assert all("norm" in name or "bn0" in name for name in kept)
    assert "parts.2.stages.0.0.norm.weight" not in kept


def test_all_three_are_saved_and_served(
    clips: list[Tensor],
    tokenizer: PreTrainedTokenizerFast,
    save_checkpoint: Callable[..., Path],
) -> None:
    """With what the paper puts behind them, in the very weights that were saved."""
    torch.manual_seed(2)
    config = CaptionerConfig(
        encoder=CONFIG,
        adapter=EdtcAdapterConfig(
            streams=(6, 8, 8), heads=2, fuser_layers=1, translator=TranslatorConfig()
        ),
        decoder=BartDecoderConfig(
            vocab_size=len(tokenizer),
            width=24,
            layers=1,
            encoder_layers=1,
            heads=2,
            ffn=16,
            max_positions=48,
        ),
    )
    model = CaptionerModel(config)
    loaded = checkpoint.load(save_checkpoint(model), torch.float32).model
    assert (loaded.config.encoder, loaded.config.adapter) == (config.encoder, config.adapter)
    own, found = model.state_dict(), loaded.state_dict()
    assert own.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in own.items())
    lengths = torch.tensor(LENGTHS)
    samples = nn.utils.rnn.pad_sequence(clips, batch_first=True)
    with torch.inference_mode():
        first, second = (each.eval().encode(samples, lengths) for each in (model, loaded))
    assert torch.equal(first.frames, second.frames)
