"""Audio Difference Learning's recipe."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.config import hearing
from model.encoders.batches import first
from model.types import Encoded
from training.captions.ontology import AUDIOSET
from training.datasets.recording import CaptionedClip
from training.fit import fit
from training.recipes.adl import DifferenceLearning, KeptSources, chosen, shift_mask
from training.samples.collate import collate
from training.samples.features import Features, Mixed


def learns(block: nn.Module) -> bool:
    """All of it, but for the keys' bias, which a softmax does not see."""
    return all(p.grad is not None for name, p in block.named_parameters() if name != "key.bias")


def test_an_open_mask_keeps_nearly_everything_at_the_start(captioner: CaptionerModel) -> None:
    shifted = deepcopy(captioner)
    shift_mask(shifted, -4)
    clip = Encoded(torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool))
    assert shifted.difference.keep(clip.frames, clip).min() > 0.9
    assert captioner.difference.keep(clip.frames, clip).max() < 0.9


def test_frames_of_an_encoder_of_another_width_are_learned_from(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    """The encoder of ``hearing`` comes without an adapter, but here its events are not told of."""
    clips = [CaptionedClip("a.wav", "human", ("a dog barks",), ())] * 2
    features = Features([np.ones((3, 384), np.float16)] * 2, [0, 1])
    config = hearing(len(tokenizer), AUDIOSET)
    plan = DifferenceLearning().plan(KeptSources(clips, features, tokenizer, config), seed=0)
    (stage,) = plan.stages
    loss = stage.loss(**collate([stage.samples[0], stage.samples[1]]))["loss"]
    loss.backward()
    assert loss > 1
    assert all(p.grad is not None for p in plan.model.adapter.parameters())


@pytest.fixture
def sources(tokenizer: PreTrainedTokenizerFast) -> KeptSources:
    """Two clips, each with a mixture and its reference; the tagger knows two kinds."""
    clips = [CaptionedClip(name, "human", ("a dog barks",), ()) for name in ("a.wav", "b.wav")]
    rng = np.random.default_rng(0)
    frames = [rng.standard_normal((4, 384)).astype(np.float16) for _ in range(6)]
    mixed = [[Mixed(2 + n, 4 + n, ("dog",), np.ones(4, bool))] for n in range(2)]
    features = Features(frames, [0, 1], {"same/same": mixed})
    config = hearing(len(tokenizer), AUDIOSET)
    classifier = nn.Linear(384, 2).requires_grad_(False)
    return KeptSources(clips, features, tokenizer, config, (clips, features), classifier)


def test_before_the_adapter_the_block_compares_the_encoders_own_frames(
    sources: KeptSources,
) -> None:
    recipe = DifferenceLearning(condition="same/same", reference_share=1, place="before")
    (stage,) = recipe.plan(sources, seed=0).stages
    model = stage.loss.captioner
    assert model.difference.value.in_features == 384
    batch = collate([stage.samples[0], stage.samples[1]])
    stage.loss(**batch)["loss"].backward()
    assert learns(model.difference)
    assert all(p.grad is not None for p in model.decoder.adapter.parameters())
    assert not [*model.adapter.parameters()]


def test_a_block_is_distilled_before_it_meets_a_caption(sources: KeptSources) -> None:
    recipe = DifferenceLearning(
        condition="same/same", reference_share=0.5, place="before", distillation_steps=3
    )
    taught, captioned = recipe.plan(sources, seed=0).stages
    assert taught.budget.steps == 3
    assert taught.loss.difference is captioned.loss.captioner.difference
    loss = taught.loss(**collate([taught.samples[0], taught.samples[1]]))["loss"]
    loss.backward()
    assert learns(taught.loss.difference)
    assert len(captioned.validation) == 2


def test_a_block_after_the_adapter_cannot_be_distilled(sources: KeptSources) -> None:
    recipe = DifferenceLearning(condition="same/same", reference_share=0.5, distillation_steps=3)
    with pytest.raises(ValueError, match="before the adapter"):
        recipe.plan(sources, seed=0)


def test_a_share_of_the_clips_is_each_seeds_own() -> None:
    drawn = [chosen(100, 0.25, seed) for seed in range(3)]
    assert all(len(set(some)) == 25 for some in drawn)
    assert drawn[0] != drawn[1] != drawn[2]
    assert chosen(100, 1, 0) == [*range(100)]


def test_of_an_encoder_that_learns_each_run_has_its_own(
    sources: KeptSources, tmp_path: Path
) -> None:
    """Its batch statistics stay those of pretraining."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(384)

        def forward(self, kept: torch.Tensor, lengths: torch.Tensor) -> Encoded:
            frames = self.norm(kept.transpose(1, 2)).transpose(1, 2)
            return Encoded(frames, first(lengths, kept.shape[1]))

    last = Last()
    recipe = DifferenceLearning(
        condition="same/same", reference_share=1, encoder_learns=True, batch_size=2, epochs=2,
        learning_rate=0.1,
    )  # fmt: skip
    with pytest.raises(ValueError, match="no layers"):
        recipe.plan(sources, seed=0)
    plan = recipe.plan(replace(sources, last_layers=last), seed=0)
    fit(plan.stages[0], tmp_path)
    norm = plan.model.encoder.norm
    assert norm.weight.min() < 1
    assert norm.running_mean.eq(0).all()
    assert last.norm.weight.eq(1).all()
