"""``python -m training reproduce``: the rows of a table on equal terms, then a report.

Everything lies in one folder and is done once: scenes, features, a result per row and seed. A study
that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from model.captioner import CaptionerModel
from model.checkpoint import load_encoder
from model.config import CaptionerConfig, hearing
from training.captions.ontology import EVENTS
from training.captions.tokenizer import train_tokenizer
from training.datasets.esc50 import read as esc50
from training.datasets.recording import CaptionedClip
from training.experiments import esc_scenes
from training.experiments.rows import TABLES, read_row
from training.experiments.testing import test
from training.fit import fit
from training.recipes.adl import DifferenceLearning, KeptSources
from training.samples import features
from training.scenes.bank import SoundBank

VOCAB_SIZE = 2000


@dataclass(frozen=True)
class Data:
    """Where a study's material lies."""

    esc50: Path
    clotho: Path
    """Its CSV files; with its recordings beside them, and ``real``, the study is on these."""
    real: bool
    encoder: Path
    """A checkpoint directory, or that of a stage that trained an encoder."""


def reproduce(
    table: str,
    *,
    data: Data,
    output: Path,
    variants: int,
    seeds: int,
    part: tuple[int, int] = (0, 1),
    overrides: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train and test every row of ``table`` with every seed; ``part`` (n, m) does every m-th.

    Each training clip is mixed ``variants`` times under each condition; ``overrides`` are settings
    that replace all rows' own.
    """
    root = data.clotho if data.real else output / "scenes"
    if not data.real and not (root / "test.jsonl").exists():
        print(f"ESC Scenes: {esc_scenes.build(data.esc50, data.clotho, root)}")
    clips = {split: esc_scenes.read(root, split) for split in ("train", "test")}
    tokenizer = train_tokenizer(
        [caption for clip in clips["train"] for caption in clip.captions], VOCAB_SIZE
    )
    config = _config(data.encoder)
    sources = {
        split: KeptSources(
            clips[split],
            _features(output, root, split, clips[split], data, variants),
            tokenizer,
            config,
        )
        for split in clips
    }
    todo = [(row, seed) for row in TABLES[table] for seed in range(seeds)]
    for name, seed in todo[part[0] :: part[1]]:
        row = replace(read_row(name), **overrides)
        result = output / "results" / f"{name}-{seed}.json"
        if result.exists():
            continue
        print(f"{name}, seed {seed}", flush=True)
        found = _run(row, seed, sources, output / "runs" / result.stem)
        result.parent.mkdir(exist_ok=True)
        result.write_text(json.dumps({"row": name, "seed": seed, **asdict(row), **found}, indent=1))


def _run(
    row: DifferenceLearning, seed: int, sources: dict[str, KeptSources], folder: Path
) -> dict[str, Any]:
    """Learn, keep the last weights, test."""
    plan = row.plan(sources["train"], seed)
    (stage,) = plan.stages
    last = fit(stage, folder)
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    found = test(plan, sources["test"], compares=row.condition is not None)
    shutil.rmtree(folder)
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    return {"steps": stage.budget.steps, "losses": losses, **found}


def _features(
    output: Path,
    root: Path,
    split: str,
    clips: Sequence[CaptionedClip],
    data: Data,
    variants: int,
) -> features.Features:
    """Read, or rendered first. What is added comes from the folds that the scenes come from."""
    path = output / "features" / f"{split}.npz"
    if not path.exists():
        model = CaptionerModel(_config(data.encoder))
        load_encoder(model.encoder, data.encoder)
        rate = model.encoder.sample_rate
        recordings = esc50.load(data.esc50, esc_scenes.SPLITS[split].folds, rate)
        bank = SoundBank(recordings, sample_rate=rate)
        rendered = features.render(
            root,
            clips,
            bank,
            model.encoder.to("cuda" if torch.cuda.is_available() else "cpu"),
            variants=variants if split == "train" else 1,
            seed=esc_scenes.SPLITS[split].seed,
            join=split == "train",
        )
        features.save(rendered, path)
    return features.load(path)


def _config(encoder: Path) -> CaptionerConfig:
    """Of a checkpoint directory; a stage of training has that of the recipe ``hearing``."""
    if (encoder / "config.json").exists():
        return CaptionerConfig.from_pretrained(encoder)
    return hearing(VOCAB_SIZE, EVENTS)
