"""A linear probe ranks what sounds first where the frames tell it, and only there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from training.experiments.probing import probe
from training.samples.features import Features

KINDS = ("Dog", "Rain", "Speech", "Wind")
TOLD, NOISE = slice(0, 4), slice(4, 8)


@dataclass(frozen=True)
class Clip:
    """All that a probe asks of one."""

    kinds: frozenset[str]


@dataclass(frozen=True)
class Sources:
    """All that a probe asks of a split."""

    clips: list[Clip]
    features: Features


def split(seed: int, clips: int) -> Sources:
    """Clips of one kind or two; four features that are louder where it sounds, four of noise."""
    rng = np.random.default_rng(seed)
    sounding = [set(rng.choice(4, size=rng.integers(1, 3), replace=False)) for _ in range(clips)]
    frames = []
    for own in sounding:
        clip = rng.standard_normal((5, 8)).astype(np.float16)
        for kind in own:
            clip[:, kind] += 3
        frames.append(clip)
    named = [Clip(frozenset(KINDS[kind] for kind in own)) for own in sounding]
    return Sources(named, Features(frames, [*range(clips)]))


def test_it_hears_what_is_in_the_features_that_it_is_given() -> None:
    sources = {"train": split(0, 80), "validation": split(1, 40), "test": split(2, 40)}
    found = probe(sources, {"noise": [NOISE], "both": [NOISE, TOLD]}, "noise")  # type: ignore[arg-type]
    assert found["kinds"] == 4
    both, noise = found["encoders"]["both"], found["encoders"]["noise"]
    assert both["test"]["precision"] > 0.95
    assert noise["test"]["precision"] < 0.8
    assert both["test"]["gain"]["low"] > 0
    apart = both["test"]["precision"] - noise["test"]["precision"]
    assert both["test"]["gain"]["mean"] == pytest.approx(apart, abs=1e-3)
    assert noise["validation"]["gain"]["high"] == 0


def test_clips_of_seldom_kinds_alone_do_not_count() -> None:
    sources = {"train": split(0, 80), "validation": split(1, 40), "test": split(2, 40)}
    seldom = Clip(frozenset({"Harp"}))
    sources["test"].clips[:3] = [seldom] * 3
    sources["train"].clips[0] = seldom
    found = probe(sources, {"told": [TOLD]}, "told")  # type: ignore[arg-type]
    assert found["kinds"] == 4
    assert found["encoders"]["told"]["test"]["clips"] == 37


def test_a_perfect_ranking_is_worth_one() -> None:
    sources = {name: split(3, 30) for name in ("train", "validation", "test")}
    for own in sources.values():
        own.features.frames = [told(clip).numpy() for clip in own.clips]
    found = probe(sources, {"told": [TOLD]}, "told")  # type: ignore[arg-type]
    assert found["encoders"]["told"]["test"]["precision"] == 1


def told(clip: Clip) -> Tensor:
    """Frames that say nothing but which kinds sound."""
    return torch.tensor([[float(kind in clip.kinds) for kind in KINDS]] * 3).half()
