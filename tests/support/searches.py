"""Searches drawn at random, and a decoder to search with."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import nn

from model.decoders import BartDecoder
from model.types import Difference

BOS, PAD, EOS = 0, 1, 2


def draw_options(rng: random.Random) -> dict[str, Any]:
    beams = rng.choice([1, 1, 2, 3, 4, 5, 8])
    longest = rng.choice([1, 2, 3, 5, 9, 14, 20])
    return {
        "num_beams": beams,
        # There is one sentence without a word; what stands beside it means nothing.
        "num_captions": rng.randint(1, beams) if longest > 1 else 1,
        "max_new_tokens": longest,
        "min_length": rng.choice([0, 0, 3, 8, 30]),
        "no_repeat_ngram_size": rng.choice([0, 1, 2, 3, 4]),
        "length_penalty": rng.choice([1.0, 1.0, 0.0, 0.6, 2.0, -1.0]),
        "early_stopping": rng.random() < 0.5,
    }


def draw_memory(rng: random.Random, clips: int, width: int) -> Difference:
    lengths = torch.tensor([rng.randint(1, 12) for _ in range(clips)])
    frames = torch.randn(clips, int(lengths.max()), width)
    return Difference(frames, torch.arange(frames.shape[1]) < lengths[:, None], None)


def lively_decoder(encoder_layers: int = 0) -> BartDecoder:
    """Random and lively: captions of many lengths, no two tokens nearly equally likely."""
    torch.manual_seed(1)
    decoder = BartDecoder(
        vocab_size=40, width=16, layers=2, heads=2, ffn=24, dropout=0.1, max_positions=64,
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, encoder_layers=encoder_layers,
    ).eval()  # fmt: skip
    for name, parameter in decoder.named_parameters():
        nn.init.normal_(parameter, std=0.6 if name.endswith("weight") else 0.3)
    bias = decoder.bart.final_logits_bias
    bias[:, [BOS, PAD]] = -100
    bias[:, EOS] = 2
    return decoder
