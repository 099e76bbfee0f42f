"""Runs a recipe from data to checkpoint directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from model import checkpoint
from training.datasets.clotho import read as clotho
from training.datasets.esc50 import read as esc50
from training.fit import fit
from training.recipes import RECIPES
from training.recipes.recipe import Sources
from training.scenes.bank import SoundBank

NONE = Path("none")
FINAL = "final"
SAMPLE_RATE = 16_000


def train(
    *,
    recipe: str,
    esc50_root: Path,
    clotho_root: Path,
    output: Path,
    folds: Sequence[int] = (1, 2, 3, 4),
    esc10_only: bool = False,
    scale: str = "full",
    seed: int = 0,
) -> None:
    """Fit every stage of the recipe, then write ``output/final``, a checkpoint in full precision.

    Stages that are done are skipped and one that was cut off goes on, so that a killed run is
    finished by starting it again. ``none`` as a root goes without that data.
    """
    recordings = (
        [] if esc50_root == NONE else esc50.load(esc50_root, folds, SAMPLE_RATE, esc10_only)
    )
    with_humans = clotho_root != NONE and recordings and not esc10_only
    human = clotho.renderable(clotho_root, "development") if with_humans else []
    bank = SoundBank(recordings, sample_rate=SAMPLE_RATE)
    plan = RECIPES[recipe][scale].plan(Sources(bank, human), seed)
    for stage in plan.stages:
        fit(stage, output)
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes, the first writes
        checkpoint.save(output / FINAL, plan.model, plan.tokenizer, plan.generation)


def export(run_dir: Path, target: Path, dtype: str) -> None:
    """Write a run's final checkpoint to ``target`` in the given precision; a card there stays."""
    final = checkpoint.load(run_dir / FINAL, getattr(torch, dtype))
    checkpoint.save(target, final.model, final.tokenizer, final.generation)
