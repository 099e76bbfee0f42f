"""A bank of a few recordings, and a captioner small enough to train in a test."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, LogMelConfig
from training.captions import grammar
from training.captions.sentences import NO_DIFFERENCE, SILENCE
from training.captions.tokenizer import train_tokenizer
from training.datasets.recording import Recording
from training.scenes.bank import SoundBank

RATE = 8000
SECONDS = 2
KINDS = ("dog", "rain", "church_bells", "sneezing")


def recording(kind: str, take: int) -> Recording:
    """A tone of the kind's own pitch between silence and silence; no two takes are alike."""
    rng = np.random.default_rng((KINDS.index(kind), take))
    samples = np.zeros(SECONDS * RATE, np.float32)
    start, end = sorted(rng.choice(np.arange(5, 95), 2, replace=False))
    start, end = int(start) * RATE // 50, (int(end) + 5) * RATE // 50
    pitch = 300 * (2 + KINDS.index(kind)) * (1 + 0.02 * take)
    tone = np.sin(2 * np.pi * pitch * np.arange(end - start) / RATE)
    samples[start:end] = rng.uniform(0.1, 0.5) * tone
    return Recording(f"1-{kind}-{take}.wav", (kind,), samples, "1", "CC0")


@pytest.fixture(scope="session")
def recordings() -> list[Recording]:
    """Two recordings each of four of ESC-50's kinds, 2 s at 8 kHz."""
    return [recording(kind, take) for kind in KINDS for take in range(2)]


@pytest.fixture
def bank(recordings: list[Recording]) -> SoundBank:
    """The recordings, by kind."""
    return SoundBank(recordings, sample_rate=RATE)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Learned from what the grammar says of the bank's kinds."""
    rng = np.random.default_rng(0)
    captions = [*NO_DIFFERENCE, *SILENCE]
    for kind in KINDS:
        captions += grammar.captions([grammar.Event(kind, 0.0, 1.0)], rng, count=20)
    return train_tokenizer(captions, 400)


@pytest.fixture
def captioner(tokenizer: PreTrainedTokenizerFast) -> CaptionerModel:
    """Every part of the real one, with 16 features and 0.16 s per frame."""
    torch.manual_seed(0)
    return CaptionerModel(
        CaptionerConfig(
            encoder=Cnn14Config(
                front_end=LogMelConfig(
                    sample_rate=RATE, window=320, hop=160, n_fft=512, mels=16, floor=1e-6
                ),
                widths=(4, 8),
                pools=((4, 2), (2, 2)),
                dropout=0.1,
            ),
            decoder=BartDecoderConfig(
                vocab_size=len(tokenizer), width=16, layers=1, heads=2, ffn=32, max_positions=128
            ),
        )
    )
