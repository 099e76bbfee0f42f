"""What every contestant but ours does in the same way: decode, and caption a batch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from benchmarks.decoding import reference
from engine.captioner import Captioner
from model.decoders import BartDecoder
from model.types import Difference, Sequences, Waveform

CHECKPOINT = Path(__file__).resolve().parents[3] / "checkpoints" / "default"
MAX_BATCH = 32
SEARCH = "BENCHMARK_SEARCH"
"""Environment variable; ``generate`` has contestants search with Transformers instead of ours."""


def load() -> Captioner:
    """The bundled checkpoint, warmed up."""
    if os.environ.get(SEARCH) == "generate":
        BartDecoder.generate = _generate  # type: ignore[method-assign]
    captioner = Captioner.from_dir(CHECKPOINT)
    captioner.warm_up()
    return captioner


def _generate(self: BartDecoder, difference: Difference, **options: Any) -> Sequences:
    """Transformers' search; its scores are not asked for, which spares it some work."""
    tokens = reference.generate(self, difference, **options)
    lengths = (tokens != self.pad_token_id).sum(dim=-1) - 1  # the first was forced
    return Sequences(tokens, lengths, torch.zeros(tokens.shape[:2]))


def describe(captioner: Captioner, requests: list[tuple[Waveform, ...]]) -> list[str]:
    """Captions of single clips and of (input, reference) pairs, in one batch."""
    encoded = iter(captioner.encode([clip for clips in requests for clip in clips]))
    pairs = [(next(encoded), next(encoded) if len(clips) > 1 else None) for clips in requests]
    return [description.best.text for description in captioner.describe(pairs)]


def files(form: dict[str, bytes]) -> list[bytes]:
    """The one file of /caption, or the two of /difference in their order."""
    return [form["file"]] if "file" in form else [form["input"], form["reference"]]
