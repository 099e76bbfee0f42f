"""Audio Difference Learning's recipe."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.config import hearing
from model.types import Encoded
from training.captions.ontology import AUDIOSET
from training.datasets.recording import CaptionedClip
from training.recipes.adl import DifferenceLearning, KeptSources, shift_mask
from training.samples.collate import collate
from training.samples.features import Features


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
