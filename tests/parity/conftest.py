"""The published network at a small width, with its configuration and a tokenizer that fits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoTokenizer, BartConfig

from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, SubtractionConfig
from tests.parity.published import EOS, SMALL, PublishedCaptioner, randomize
from training.captions.tokenizer import train_tokenizer


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tokenizer with BART's special tokens."""
    path = tmp_path_factory.mktemp("tokenizer")
    captions = ["a dog barks", "rain falls on a tin roof", "birds sing"]
    train_tokenizer(captions * 4, 300).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def config(tokenizer_dir: Path) -> CaptionerConfig:
    """The published configuration, but small."""
    tokens = len(AutoTokenizer.from_pretrained(tokenizer_dir))
    return CaptionerConfig(
        encoder=Cnn14Config(widths=SMALL, fixed_frames=2048),
        difference=SubtractionConfig(),
        decoder=BartDecoderConfig(
            vocab_size=tokens, width=16, layers=2, heads=2, ffn=24, max_positions=128
        ),
    )


@pytest.fixture(scope="session")
@torch.no_grad()
def published(config: CaptionerConfig) -> PublishedCaptioner:
    torch.manual_seed(1)
    decoder = config.decoder
    network = PublishedCaptioner(
        SMALL,
        BartConfig(
            vocab_size=decoder.vocab_size, d_model=decoder.width, encoder_layers=0,
            decoder_layers=decoder.layers, encoder_attention_heads=decoder.heads,
            decoder_attention_heads=decoder.heads, encoder_ffn_dim=decoder.ffn,
            decoder_ffn_dim=decoder.ffn, max_position_embeddings=decoder.max_positions,
        ),
    ).eval()  # fmt: skip
    randomize(network)
    bart = network.bart_lm
    for name, parameter in bart.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, "norm" in name and name.endswith("weight"), 0.2)
        else:
            nn.init.normal_(parameter, 0, 0.5)
    # Captions of many lengths: they follow the sound and the place, not the last token alone.
    nn.init.normal_(bart.model.shared.weight, 0, 0.7)
    nn.init.normal_(bart.model.decoder.embed_positions.weight)
    for layer in bart.model.decoder.layers:
        layer.encoder_attn.out_proj.weight.mul_(3)
    nn.init.normal_(bart.final_logits_bias, 0, 0.3)
    bart.final_logits_bias[:, EOS] = 2
    return network
