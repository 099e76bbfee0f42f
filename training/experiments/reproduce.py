"""``python -m training reproduce``: the rows of tables on equal terms.

Everything lies in one folder and is done once: scenes, frames, and in ``results.jsonl`` a line per
row and seed. A study that was stopped goes on where it was when it is started again, and several
processes may share it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from model.config import BartDecoderConfig, CaptionerConfig
from model.contracts import Encoder
from model.published import efficientat
from model.runtimes.openvino import OpenVino
from training.captions.tokenizer import train_tokenizer
from training.datasets.esc50 import read as esc50
from training.datasets.recording import CaptionedClip
from training.experiments import encoders, esc_scenes
from training.experiments.esc_scenes import SPLITS, Roots
from training.experiments.rows import TABLES, read_row, rows_of
from training.experiments.testing import COMPARED, plain, test
from training.fit import best, curves, fit, load_weights
from training.recipes.adl import DifferenceLearning, KeptSources
from training.samples import features
from training.scenes.algorithm1 import CONDITIONS
from training.scenes.bank import SoundBank

VOCAB_SIZE = 2000
SMALL = BartDecoderConfig(
    vocab_size=VOCAB_SIZE, width=128, layers=2, heads=4, ffn=512, max_positions=128
)
"""The decoder on scenes: a run is to take minutes."""
RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Data:
    """Where a study's material lies."""

    roots: Roots
    real: bool
    """On Clotho's recordings, which lie beside its CSV files, instead of scenes."""
    encoder: Path
    """A checkpoint directory, a stage of training that made an encoder, or EfficientAT's file."""


def prepare(data: Data, output: Path) -> dict[str, dict[str, int]]:
    """Build ESC Scenes; how many of each subset every split has."""
    return esc_scenes.build(data.roots, output / "scenes")


def reproduce(
    tables: Sequence[str],
    *,
    data: Data,
    output: Path,
    variants: int,
    seeds: int,
    part: tuple[int, int] = (0, 1),
    given: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Train and test every row of ``tables``, all with one seed before the next seed.

    Each training clip is mixed ``variants`` times under each condition; ``part`` (n, m) does every
    m-th run; ``given`` are settings of all rows that do not say so themselves. Where it gives no
    learning rate that is the one that the rows of ``rate`` chose, if they are done.
    """
    given = {**chosen_rate(output), **given}
    if not data.real:
        prepare(data, output)
    names = rows_of(tables)
    rows = {name: read_row(name, given) for name in names}
    sources = {
        learns: _sources(data, output, alike, variants, learns)
        for learns in (False, True)
        if (alike := [row for row in rows.values() if row.encoder_learns == learns])
    }
    todo = [(name, seed) for seed in range(seeds) for name in names]
    for name, seed in todo[part[0] :: part[1]]:
        if (name, seed) in {(one["row"], one["seed"]) for one in read(output)}:
            continue
        print(f"{name}, seed {seed}", flush=True)
        row = rows[name]
        found = _run(row, seed, sources[row.encoder_learns], output / "runs" / f"{name}-{seed}")
        line = json.dumps({"row": name, "seed": seed, "settings": asdict(row), **found})
        with (output / RESULTS).open("a") as file:
            file.write(line + "\n")


def read(output: Path) -> Iterator[dict[str, Any]]:
    """The results that there are: of each row and seed the first."""
    path = output / RESULTS
    seen = set()
    for line in path.read_text().splitlines() if path.exists() else ():
        one = json.loads(line)
        if (one["row"], one["seed"]) not in seen:
            seen.add((one["row"], one["seed"]))
            yield one


def chosen_rate(output: Path) -> dict[str, float]:
    """The learning rate whose baseline had the lowest loss on validation; nothing if none has."""
    found = [
        (min(loss for _, loss in one["validation"]), float(one["settings"]["learning_rate"]))
        for one in read(output)
        if one["row"] in TABLES["rate"] and one["validation"]
    ]
    return {"learning_rate": min(found)[1]} if found else {}


def _run(
    row: DifferenceLearning, seed: int, sources: dict[str, KeptSources], folder: Path
) -> dict[str, Any]:
    """Learn; test the last weights, and the plain captions of those that validated best."""
    began = time.process_time()
    plan = row.plan(sources["train"], seed)
    for stage in plan.stages:
        last = fit(stage, folder)
    found = test(plan, sources["test"], compares=row.condition is not None and not row.blind)
    learned = curves(last)
    if stage.validation is not None:
        chosen = best(last)
        load_weights(stage.loss, chosen)
        found["best"] = {
            "step": int(chosen.name.rpartition("-")[2]), **plain(plan, sources["test"]),
        }  # fmt: skip
    shutil.rmtree(folder)
    seconds = round(time.process_time() - began)
    return {"steps": stage.budget.steps, "cpu_s": seconds, **learned, **found}


def _sources(
    data: Data, output: Path, rows: Sequence[DifferenceLearning], variants: int, learns: bool
) -> dict[str, KeptSources]:
    """What is trained on and tested on, its frames kept, or what is before layers that learn."""
    root = data.roots.clotho if data.real else output / "scenes"
    clips = {split: esc_scenes.read(root, split) for split in SPLITS}
    tokenizer = _tokenizer(data, clips["train"])
    own = encoders.config(data.encoder)
    decoder = own.decoder if data.real else SMALL
    config = CaptionerConfig(encoder=own.encoder, decoder=decoder)
    wanted = {
        "train": [row.condition for row in rows if row.condition],
        "validation": [],
        "test": [*CONDITIONS],
    }
    kept = {
        split: features.keep(
            output / ("features-learning" if learns else "features") / split,
            lambda split=split: _renderer(  # type: ignore[misc]
                data, root, split, clips[split], learns
            ),
            wanted[split],
            variants=variants if split == "train" else 1,
            joined=split == "train" and any(row.mixgen_share for row in rows),
        )
        for split in SPLITS
    }
    return {
        "train": KeptSources(
            clips["train"],
            kept["train"],
            tokenizer,
            config,
            validation=(clips["validation"], kept["validation"]),
            classifier=_classifier(data.encoder),
            last_layers=encoders.cut(data.encoder, None)[1] if learns else None,
        ),
        "test": KeptSources(clips["test"], kept["test"], tokenizer, config),
    }


def _tokenizer(data: Data, clips: Sequence[CaptionedClip]) -> PreTrainedTokenizerFast:
    """The checkpoint's on real recordings, as in the paper, where it has one."""
    if data.real and (data.encoder / "tokenizer.json").exists():
        return cast(
            PreTrainedTokenizerFast,
            PreTrainedTokenizerFast.from_pretrained(data.encoder),
        )
    return train_tokenizer([text for clip in clips for text in clip.captions], VOCAB_SIZE)


def _renderer(
    data: Data, root: Path, split: str, clips: Sequence[CaptionedClip], learns: bool
) -> features.Renderer:
    """What is added comes from the folds that the scenes come from."""
    on_gpu = torch.cuda.is_available()
    runtime = None if on_gpu else OpenVino()
    encoder: Encoder
    if learns:
        encoder, _ = encoders.cut(data.encoder, runtime)
    else:
        encoder = encoders.read(data.encoder, runtime)
    recordings = esc50.load(data.roots.esc50, SPLITS[split].folds, encoder.sample_rate)
    bank = SoundBank(recordings, sample_rate=encoder.sample_rate)
    device = "cuda" if on_gpu else "cpu"
    mixed = COMPARED if split == "test" else None
    return features.Renderer(root, clips, bank, encoder.to(device), SPLITS[split].seed, mixed)


def _classifier(encoder: Path) -> nn.Module | None:
    if encoder.suffix != encoders.TAGGER:
        return None
    return efficientat.read_network(encoder).classifier.requires_grad_(False)
