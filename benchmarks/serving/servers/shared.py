"""What every contestant but ours does in the same way: decode, and caption a batch."""

from __future__ import annotations

from pathlib import Path

from model.pipeline import Captioner
from model.types import Waveform

CHECKPOINT = Path(__file__).resolve().parents[3] / "checkpoints" / "default"
MAX_BATCH = 32


def load() -> Captioner:
    """The bundled checkpoint, warmed up."""
    captioner = Captioner.from_dir(CHECKPOINT)
    captioner.warm_up()
    return captioner


def describe(captioner: Captioner, requests: list[tuple[Waveform, ...]]) -> list[str]:
    """Captions of single clips and of (input, reference) pairs, in one batch."""
    encoded = iter(captioner.encode([clip for clips in requests for clip in clips]))
    pairs = [(next(encoded), next(encoded) if len(clips) > 1 else None) for clips in requests]
    return [description.best.text for description in captioner.describe(pairs)]


def files(form: dict[str, bytes]) -> list[bytes]:
    """The one file of /caption, or the two of /difference in their order."""
    return [form["file"]] if "file" in form else [form["input"], form["reference"]]
