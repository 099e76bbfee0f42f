"""What every recipe is given and gives back.

A recipe is a frozen set of settings that turns data into a plan: a model, and the stages that it
learns in. To vary a recipe is to replace some of its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transformers import GenerationConfig, PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from training.datasets.clotho.read import RenderableCaption
from training.fit import Stage
from training.scenes.bank import SoundBank

ALL_BUT_ENCODER = r"^captioner\.(?!encoder\.)"
"""What is trainable of a ``Captioning`` whose encoder is frozen."""


@dataclass(frozen=True)
class Sources:
    """The data of a run."""

    bank: SoundBank
    human: Sequence[RenderableCaption]


@dataclass(frozen=True)
class Plan:
    """A model and how it learns, stage by stage."""

    model: CaptionerModel
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig
    stages: Sequence[Stage]


class Recipe(Protocol):
    """A recipe for scenes made on the fly: what ``python -m training train`` runs."""

    def plan(self, sources: Sources, seed: int) -> Plan:
        """The same seed gives the same weights and samples."""
