"""Audio Difference Learning as the paper trains it: with its encoder frozen, on kept frames.

Of an encoder whose last layers learn, what these take is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from model.adapters import NoAdapter
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import CaptionerConfig, LinearAdapterConfig
from model.contracts import Decoder, Encoder, Parts
from model.decoders import BartDecoder
from model.difference import DIFFERENCES
from training.captions.tokenizer import MAX_TOKENS
from training.datasets.recording import CaptionedClip
from training.fit import Budget, Stage
from training.losses import Captioning, Rest
from training.recipes.adapted import AdaptedDecoder
from training.recipes.recipe import Plan
from training.samples.by_length import ByLength
from training.samples.features import Features
from training.samples.frames import FrameSamples, RestSamples, without_encoder

ALL_BUT_ENCODER = r"^captioner\.(?!encoder\.)"
"""What is trainable of a ``Captioning`` whose encoder is frozen."""
ALL = r"^captioner\."
"""And of one whose encoder learns, too."""
BLOCK = r"^difference\."
"""What is trainable of a ``Rest``."""
CHECKS = 8
"""How often the loss of validation is told."""


@dataclass(frozen=True)
class KeptSources:
    """The data of a run on kept frames."""

    clips: Sequence[CaptionedClip]
    features: Features
    """Of the clips."""
    tokenizer: PreTrainedTokenizerFast
    config: CaptionerConfig
    """The captioner's, but for its diff block, its vocabulary and its adapter, the paper's."""
    validation: tuple[Sequence[CaptionedClip], Features] | None = None
    """Clips that are not learned from, and their features."""
    classifier: nn.Module | None = None
    """Of a tagger whose features the frames are: [..., D] -> [..., K]."""
    last_layers: nn.Module | None = None
    """Of the encoder, where the frames are what these take."""


@dataclass(frozen=True)
class DifferenceLearning:
    """Captions of clips and of differences. The budget is the paper's."""

    difference: str = "masking"
    """Diff block: a key of ``model.difference.DIFFERENCES``."""
    condition: str | None = None
    """Of Algorithm 1: ``samples.features.condition_of`` knows it; None never mixes."""
    reference_share: float = 0
    """Of the samples; the others are plain clips. The paper does not say how many there were."""
    blind: bool = False
    """The mixtures come without their references: plain augmentation by other sounds."""
    mixgen_share: float = 0
    """Of the samples: two clips at once, their captions joined by "and" (AL-MixGen)."""
    mask_bias: float = 0
    """Added at the start to what the mask's sigmoid takes: -4 keeps nearly everything."""
    place: Literal["after", "before"] = "after"
    """The adapter, where the diff block stands; the paper's: after."""
    distillation_steps: int = 0
    """In which the block, before the adapter, learns what a tagger thinks of the rest."""
    encoder_learns: bool = False
    """Its last layers do, with the rest and at the same rate."""
    clip_share: float = 1
    """Of the training clips, drawn anew by each seed; the steps remain the same."""
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
        if self.encoder_learns:
            if sources.last_layers is None:
                raise ValueError("no layers of the encoder are left to learn")
            model.encoder = cast(Encoder, deepcopy(sources.last_layers))
        if self.place == "before":
            model = before_adapter(model, self.difference)
        stages = [self._captioning(model, sources, seed)]
        if self.distillation_steps:
            stages.insert(0, self._distillation(model, sources, seed))
        search = baseline_search(max_length=MAX_TOKENS)
        return Plan(model, sources.tokenizer, search, stages)

    def _captioning(self, model: CaptionerModel, sources: KeptSources, seed: int) -> Stage:
        drawn = FrameSamples(
            sources.clips,
            sources.features,
            sources.tokenizer,
            condition=self.condition,
            reference_share=self.reference_share,
            mixgen_share=self.mixgen_share,
            blind=self.blind,
            among=chosen(len(sources.clips), self.clip_share, seed),
            seed=seed,
        )
        validation = None
        if sources.validation:
            validation = FrameSamples(
                *sources.validation, sources.tokenizer,
                condition=None, reference_share=0, mixgen_share=0, seed=0,
            )  # fmt: skip
        steps = self.epochs * len(sources.clips) // self.batch_size
        budget = Budget(
            steps,
            self.batch_size,
            self.learning_rate,
            steps // 20,
            save_steps=max(1, steps // CHECKS),
            workers=0,
            seed=seed,
        )
        loss = Captioning(model)
        samples = ByLength(drawn, self.batch_size, seed=seed)
        trainable = ALL if self.encoder_learns else ALL_BUT_ENCODER
        return Stage("captioning", samples, loss, trainable, budget, validation)

    def _distillation(self, model: CaptionerModel, sources: KeptSources, seed: int) -> Stage:
        if sources.classifier is None or self.condition is None or self.place != "before":
            raise ValueError("a block is distilled before the adapter, mixing, by a tagger alone")
        samples = RestSamples(sources.features, self.condition, seed=seed)
        steps = self.distillation_steps
        budget = Budget(steps, self.batch_size, 1e-3, steps // 10, workers=0, seed=seed)
        loss = Rest(model.difference, sources.classifier)
        return Stage("distillation", samples, loss, BLOCK, budget)

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


def before_adapter(captioner: CaptionerModel, difference: str) -> CaptionerModel:
    """The same, but that a new diff block of this name compares what the encoder says itself."""
    adapter, decoder = captioner.adapter, captioner.decoder
    assert isinstance(adapter, nn.Linear)
    assert isinstance(decoder, BartDecoder)
    width = adapter.in_features
    parts = Parts(
        captioner.encoder,
        NoAdapter(inputs=width, width=adapter.out_features),
        DIFFERENCES[difference](width=width),
        cast(Decoder, AdaptedDecoder(adapter, decoder)),
    )
    return CaptionerModel(captioner.config, parts)


def chosen(clips: int, share: float, seed: int) -> Sequence[int]:
    """The numbers of a share of the clips, in order."""
    drawn = np.random.default_rng((seed, 5)).permutation(clips)[: round(share * clips)]
    return sorted(int(number) for number in drawn)
