"""What every recipe is given and gives back.

A recipe is a frozen set of settings that turns data into a plan: a model, and the stages that it
learns in. To vary a recipe is to replace some of its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from transformers import GenerationConfig, PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from training.fit import Stage

S = TypeVar("S")


@dataclass(frozen=True)
class Data:
    """Where the data of a run lies; a folder that is None is gone without."""

    esc50: Path | None
    clotho: Path | None
    sounds: Path | None
    audiocaps: Path | None
    teacher: Path
    """EfficientAT's weights."""
    start: Path | None = None
    """An encoder to start from, as ``import-encoder`` writes it; None takes the recipe's own."""
    adiff: Path | None = None
    """ADIFF's published answers."""
    instructor: Path | None = None
    """INSTRUCTOR's weights and tokenizer."""
    folds: Sequence[int] | None = None
    """Of ESC-50, to train on; None takes the recipe's own."""


@dataclass(frozen=True)
class Plan:
    """A model and how it learns, stage by stage."""

    model: CaptionerModel
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig
    stages: Sequence[Stage]


class Recipe(Protocol[S]):
    """A recipe for scenes made on the fly: what ``python -m training train`` runs."""

    def sources(self, data: Data, run_dir: Path) -> S:
        """Read what it learns from; what takes long is kept in the run's folder."""

    def plan(self, sources: S, seed: int) -> Plan:
        """The same seed gives the same weights and samples."""
