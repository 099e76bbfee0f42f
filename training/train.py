"""Runs a recipe from data to checkpoint directory."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from model import checkpoint
from model.encoders import EfficientAt
from model.published import efficientat
from training.datasets.errors import DataError
from training.fit import fit
from training.recipes import RECIPES
from training.recipes.recipe import Data

FINAL = "final"
FULL = 64 << 20
"""Bytes left on a disk that are too few for a checkpoint."""


def train(*, recipe: str, data: Data, output: Path, scale: str = "full", seed: int = 0) -> None:
    """Fit every stage of the recipe, then write ``output/final``, a checkpoint in full precision.

    Stages that are done are skipped and one that was cut off goes on, so that a killed run is
    finished by starting it again.
    """
    chosen = RECIPES[recipe][scale]
    with _one_at_a_time(output):  # of torchrun's processes: the others find what the first kept
        sources = chosen.sources(data, output)
    plan = chosen.plan(sources, seed)
    for stage in plan.stages:
        with _room_on(output):
            fit(stage, output)
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes, the first writes
        checkpoint.save(output / FINAL, plan.model, plan.tokenizer, plan.generation)


def export(run_dir: Path, target: Path, dtype: str) -> None:
    """Write a run's final checkpoint to ``target`` in the given precision; a card there stays.

    Without the teacher's network, if that is its encoder: others publish it.
    """
    final = checkpoint.load(run_dir / FINAL, getattr(torch, dtype))
    if isinstance(final.model.encoder, EfficientAt):
        final.model.config.fetched = efficientat.FETCHED
    checkpoint.save(target, final.model, final.tokenizer, final.generation)


@contextmanager
def _room_on(folder: Path) -> Iterator[None]:
    """Raises DataError for a full disk, of which torch and safetensors speak in their own words."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if shutil.disk_usage(folder).free > FULL:
            raise
        raise DataError(
            f"the disk of {folder} is full: make room and run the command again to go on"
        ) from error


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
