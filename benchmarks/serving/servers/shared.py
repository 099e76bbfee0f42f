"""What every contestant but ours does in the same way: decode, and caption a batch."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.decoding import reference
from engine.captioner import Captioner
from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint
from model.config import CaptionerConfig
from model.decoders import BartDecoder
from model.types import Difference, Sequences, Waveform

CHECKPOINT = Path(__file__).resolve().parents[3] / "checkpoints" / "default"
MAX_BATCH = 32
LENGTH = 18
"""Tokens of a full-size network's caption: of AudioCaps' and Clotho's, about the median."""
SEARCH = "BENCHMARK_SEARCH"
"""Environment variable; ``generate`` has contestants search with Transformers instead of ours."""
RUNTIME = "BENCHMARK_RUNTIME"
"""Environment variable: what computes, as AUDIODIFF_RUNTIME; torch unless it is set."""
NETWORK = "BENCHMARK_NETWORK"
"""Environment variable; ``full`` is the paper's network in its size instead of the bundled one."""


def load() -> Captioner:
    """The bundled checkpoint, warmed up."""
    if os.environ.get(NETWORK) == "full":
        captioner = Captioner(full_size(), torch.device("cpu"))
    else:
        captioner = Captioner.from_dir(CHECKPOINT, runtime=os.environ.get(RUNTIME, "torch"))
    if os.environ.get(SEARCH) == "generate":
        decoder = cast(BartDecoder, captioner.model.decoder)
        bart = reference.transformers_bart(decoder)
        decoder.generate = partial(_generate, bart)  # type: ignore[method-assign]
    captioner.warm_up()
    return captioner


def full_size() -> Checkpoint:
    """CNN14 and six layers of BART, as published; random weights, as only the time counts.

    Its captions are as long as those of people: their end is not left to chance.
    """
    bundled = checkpoint.load(CHECKPOINT, torch.float32)
    torch.manual_seed(0)
    model = CaptionerModel(CaptionerConfig()).eval()
    generation = copy.deepcopy(bundled.generation)
    generation.min_length = LENGTH - 1
    generation.max_length = LENGTH
    return replace(bundled, model=model, generation=generation)


def _generate(bart: Any, difference: Difference, **options: Any) -> Sequences:
    """Transformers' search; its scores are not asked for, which spares it some work."""
    tokens = reference.generate(bart, difference, **options)
    lengths = (tokens != bart.config.pad_token_id).sum(dim=-1) - 1  # the first was forced
    return Sequences(tokens, lengths, torch.zeros(tokens.shape[:2]))


def describe(captioner: Captioner, requests: list[tuple[Waveform, ...]]) -> list[str]:
    """Captions of single clips and of (input, reference) pairs, in one batch."""
    encoded = iter(captioner.encode([clip for clips in requests for clip in clips]))
    pairs = [(next(encoded), next(encoded) if len(clips) > 1 else None) for clips in requests]
    return [description.best.text for description in captioner.describe(pairs)]


def files(form: dict[str, bytes]) -> list[bytes]:
    """The one file of /caption, or the two of /difference in their order."""
    return [form["file"]] if "file" in form else [form["input"], form["reference"]]
