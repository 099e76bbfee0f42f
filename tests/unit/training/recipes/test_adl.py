"""Audio Difference Learning's recipe."""

from __future__ import annotations

from copy import deepcopy

import torch

from model.captioner import CaptionerModel
from model.types import Encoded
from training.recipes.adl import shift_mask


def test_an_open_mask_keeps_nearly_everything_at_the_start(captioner: CaptionerModel) -> None:
    shifted = deepcopy(captioner)
    shift_mask(shifted, -4)
    clip = Encoded(torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool))
    assert shifted.difference.keep(clip.frames, clip).min() > 0.9
    assert captioner.difference.keep(clip.frames, clip).max() < 0.9
