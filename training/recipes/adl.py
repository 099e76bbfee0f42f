"""Audio Difference Learning as the paper trains it: with its encoder frozen, on kept frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import CaptionerConfig, LinearAdapterConfig
from training.captions.tokenizer import MAX_TOKENS
from training.datasets.recording import CaptionedClip
from training.fit import Budget, Stage
from training.losses import Captioning
from training.recipes.recipe import Plan
from training.samples.features import Features
from training.samples.frames import FrameSamples, without_encoder

ALL_BUT_ENCODER = r"^captioner\.(?!encoder\.)"
"""What is trainable of a ``Captioning`` whose encoder is frozen."""


@dataclass(frozen=True)
class KeptSources:
    """The data of a run on kept frames."""

    clips: Sequence[CaptionedClip]
    features: Features
    """Of the clips."""
    tokenizer: PreTrainedTokenizerFast
    config: CaptionerConfig
    """The captioner's, but for its diff block, its vocabulary and its adapter, the paper's."""


@dataclass(frozen=True)
class DifferenceLearning:
    """One stage: captions of clips and of differences. The budget is the paper's."""

    difference: str = "masking"
    """Diff block: a key of ``model.difference.DIFFERENCES``."""
    condition: str | None = None
    """Of Algorithm 1, a key of ``CONDITIONS``; None never mixes."""
    reference_share: float = 0
    """Of the samples; the others are plain clips. The paper does not say how many there were."""
    mixgen_share: float = 0
    """Of the samples: two clips at once, their captions joined by "and" (AL-MixGen)."""
    mask_bias: float = 0
    """Added at the start to what the mask's sigmoid takes: -4 keeps nearly everything."""
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 1e-5

    def plan(self, sources: KeptSources, seed: int) -> Plan:
        """A captioner whose encoder's slot takes the kept frames."""
        torch.manual_seed(seed)
        model = CaptionerModel(self._config(sources))
        if self.mask_bias:
            shift_mask(model, self.mask_bias)
        model = without_encoder(model)
        samples = FrameSamples(
            sources.clips,
            sources.features,
            sources.tokenizer,
            condition=self.condition,
            reference_share=self.reference_share,
            mixgen_share=self.mixgen_share,
            seed=seed,
        )
        steps = self.epochs * len(sources.clips) // self.batch_size
        budget = Budget(
            steps, self.batch_size, self.learning_rate, steps // 20, workers=0, seed=seed
        )
        stage = Stage("captioning", samples, Captioning(model), ALL_BUT_ENCODER, budget)
        search = baseline_search(max_length=MAX_TOKENS)
        return Plan(model, sources.tokenizer, search, [stage])

    def _config(self, sources: KeptSources) -> CaptionerConfig:
        own = sources.config
        return CaptionerConfig(
            encoder=own.encoder,
            adapter=LinearAdapterConfig(),
            difference={"name": self.difference},
            decoder=own.decoder.model_copy(update={"vocab_size": len(sources.tokenizer)}),
        )


@torch.no_grad()
def shift_mask(captioner: CaptionerModel, bias: float) -> None:
    """Add ``bias`` to what the mask's sigmoid takes, whatever the reference (equations 16, 17)."""
    captioner.get_parameter("difference.value.bias").add_(bias)
