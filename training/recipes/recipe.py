"""What every recipe is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import GenerationConfig, PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from training.datasets.clotho.read import RenderableCaption
from training.fit import Stage
from training.scenes.scene import SoundBank


@dataclass(frozen=True)
class Sources:
    """The data of a run."""

    bank: SoundBank
    human: Sequence[RenderableCaption]


@dataclass(frozen=True)
class Scale:
    """How much a run may cost."""

    tagging_steps: int
    comparing_steps: int
    captioning_steps: int
    joint_steps: int
    batch_size: int
    workers: int


SCALES = {
    "full": Scale(4400, 3200, 900, 1800, batch_size=32, workers=1),
    "smoke": Scale(4, 4, 4, 4, batch_size=4, workers=0),
}


@dataclass(frozen=True)
class Plan:
    """A model and how it learns, stage by stage."""

    model: CaptionerModel
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig
    stages: Sequence[Stage]


Recipe = Callable[[Sources, Scale, int], Plan]
"""(sources, scale, seed) -> plan."""
