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
from model.captioner import CaptionerModel
from model.config import SharedConfig
from model.encoders import EfficientAt
from model.errors import CheckpointError
from model.published import efficientat
from training.datasets.errors import DataError
from training.fit import fit
from training.recipes import RECIPES
from training.recipes.recipe import Data

FINAL = "final"
SHAREABLE = ("encoder.", "adapter.", "events.")
"""What begin the names of the weights of a part that two checkpoints may have in common."""
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


def export(run_dir: Path, target: Path, dtype: str, share: Path | None = None) -> None:
    """Write a run's final checkpoint to ``target`` in the given precision; a card there stays.

    Without the teacher's network, if that is its encoder: others publish it; and without the parts
    that are those of the checkpoint ``share``, which must lie beside ``target``.

    Raises:
        CheckpointError: one cannot be read, or they have no part in common.
    """
    final = checkpoint.load(run_dir / FINAL, getattr(torch, dtype))
    if isinstance(final.model.encoder, EfficientAt):
        final.model.config.fetched = efficientat.FETCHED
    if share is not None:
        final.model.config.shared = _in_common(final.model, share, target)
    checkpoint.save(target, final.model, final.tokenizer, final.generation)


def _in_common(model: CaptionerModel, share: Path, target: Path) -> SharedConfig:
    if share.resolve().parent != target.resolve().parent:
        raise CheckpointError(f"{share} is not beside {target}: what is shared is looked for there")
    theirs = checkpoint.read_weights(share, checkpoint.read_fetched(share))
    keys = []
    for slot in SHAREABLE:
        ours = {key: value for key, value in model.state_dict().items() if key.startswith(slot)}
        same = (key in theirs and torch.equal(value, theirs[key]) for key, value in ours.items())
        if ours and all(same):
            keys.append(slot)
    if not keys:
        raise CheckpointError(f"no part is that of {share}: it cannot be shared")
    return SharedConfig(checkpoint=share.resolve().name, keys=tuple(keys))


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
