"""``python -m training reproduce``: the rows of a table on equal terms, then a report.

Everything lies in one folder and is done once: scenes, features, a result per row and seed. A study
that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.checkpoint import load_encoder
from model.config import CaptionerConfig, compact
from training.captions.tokenizer import train_tokenizer
from training.datasets.esc50 import read as esc50
from training.experiments import features, scenes
from training.experiments.learning import FrameCaptioning, StudySamples, collate
from training.experiments.rows import TABLES, Row, read_row
from training.experiments.testing import test
from training.fit import Budget, Stage, fit
from training.scenes.scene import SoundBank

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


@dataclass(frozen=True)
class Terms:
    """What is the same for all rows; None leaves a row's own figure."""

    epochs: int | None
    learning_rate: float | None
    variants: int
    """Mixtures of each training clip under each condition."""
    seeds: int


def reproduce(
    table: str,
    *,
    data: Data,
    output: Path,
    terms: Terms,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Train and test every row of ``table`` with every seed; ``part`` (n, m) does every m-th."""
    root = data.clotho if data.real else output / "scenes"
    if not data.real and not (root / "test.jsonl").exists():
        print(f"ESC Scenes: {scenes.build(data.esc50, data.clotho, root)}")
    clips = {split: scenes.read(root, split) for split in ("train", "test")}
    tokenizer = train_tokenizer(
        [caption for clip in clips["train"] for caption in clip.captions], VOCAB_SIZE
    )
    heard = {
        split: _features(output, root, split, clips[split], data, terms.variants) for split in clips
    }
    todo = [(row, seed) for row in TABLES[table] for seed in range(terms.seeds)]
    for name, seed in todo[part[0] :: part[1]]:
        row = _on_terms(read_row(name), terms)
        result = output / "results" / f"{name}-{seed}.json"
        if result.exists():
            continue
        print(f"{name}, seed {seed}", flush=True)
        found = _run(
            row, seed, tokenizer, clips, heard, data.encoder, output / "runs" / result.stem
        )
        result.parent.mkdir(exist_ok=True)
        result.write_text(json.dumps({"row": name, "seed": seed, **asdict(row), **found}, indent=1))


def _run(
    row: Row,
    seed: int,
    tokenizer: PreTrainedTokenizerFast,
    clips: dict[str, list[scenes.CaptionedClip]],
    heard: dict[str, features.Features],
    encoder: Path,
    folder: Path,
) -> dict[str, Any]:
    """Learn, keep the last weights, test."""
    torch.manual_seed(seed)
    own = _config(encoder)
    captioner = CaptionerModel(
        CaptionerConfig(
            encoder=own.encoder,
            adapter=own.adapter,
            difference={"name": row.difference},
            decoder=own.decoder.model_copy(update={"vocab_size": len(tokenizer)}),
        )
    )
    if row.mask_bias:
        shift_mask(captioner, row.mask_bias)
    task = FrameCaptioning(captioner)
    samples = StudySamples(clips["train"], heard["train"], tokenizer, row, seed)
    steps = len(samples) // row.batch_size
    fit(
        Stage(
            "captioning",
            task,
            "",
            samples,
            collate,
            Budget(
                steps=steps,
                batch_size=row.batch_size,
                learning_rate=row.learning_rate,
                warmup_steps=steps // 20,
                workers=0,
                seed=seed,
            ),
        ),
        folder,
    )
    last = folder / "captioning" / f"checkpoint-{steps}"
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    found = test(task, tokenizer, clips["test"], heard["test"], compares=row.condition is not None)
    shutil.rmtree(folder)
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    return {"steps": steps, "losses": losses, **found}


@torch.no_grad()
def shift_mask(captioner: CaptionerModel, bias: float) -> None:
    """Add ``bias`` to what the mask's sigmoid takes, whatever the reference (equations 16, 17)."""
    captioner.get_parameter("difference.value.bias").add_(bias)


def _on_terms(row: Row, terms: Terms) -> Row:
    return replace(
        row,
        epochs=row.epochs if terms.epochs is None else terms.epochs,
        learning_rate=row.learning_rate if terms.learning_rate is None else terms.learning_rate,
    )


def _features(
    output: Path,
    root: Path,
    split: str,
    clips: Sequence[scenes.CaptionedClip],
    data: Data,
    variants: int,
) -> features.Features:
    """Read, or rendered first. What is added comes from the folds that the scenes come from."""
    path = output / "features" / f"{split}.npz"
    if not path.exists():
        model = CaptionerModel(_config(data.encoder))
        load_encoder(model.encoder, data.encoder)
        rate = model.encoder.sample_rate
        bank = SoundBank(
            esc50.load(data.esc50, scenes.SPLITS[split].folds, rate),
            sample_rate=rate,
            synthetic_share=0.0,
        )
        rendered = features.render(
            root,
            clips,
            bank,
            model.encoder.to("cuda" if torch.cuda.is_available() else "cpu"),
            variants=variants if split == "train" else 1,
            seed=scenes.SPLITS[split].seed,
            join=split == "train",
        )
        features.save(rendered, path)
    return features.load(path)


def _config(encoder: Path) -> CaptionerConfig:
    """Of a checkpoint directory; a stage of training has the compact one."""
    if (encoder / "config.json").exists():
        return CaptionerConfig.from_pretrained(encoder)
    return compact(VOCAB_SIZE)
