"""ADIFF's ablations: each row is trained, tested and reported, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from training.evaluation import coco
from training.evaluation.files import wav
from training.experiments import explaining
from training.recipes.recipe import Data

RATE = 8000
TINY = {
    "clips": 6, "language_steps": 1, "grounding_steps": 1, "tuning_steps": 1, "batch_size": 2,
    "layers": 1, "mapper_layers": 1,
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path, captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> Data:
    """Recordings of four kinds in a fold to train on, and in the one to test on."""
    base = tmp_path / "base"
    checkpoint.save(base, captioner, tokenizer, baseline_search(max_length=30))
    root, rng = tmp_path / "ESC-50", np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    lines = ["filename,fold,category,esc10"]
    for fold in (1, 5):
        for number, kind in enumerate(("dog", "rain", "siren", "engine")):
            name = f"{fold}-{number}-A-{number}.wav"
            samples = rng.uniform(-0.3, 0.3, 2 * RATE).astype(np.float32)
            (root / "audio" / name).write_bytes(wav(samples, RATE))
            lines.append(f"{name},{fold},{kind},False")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines))
    return Data(root, None, None, None, Path("none"), start=base)


def test_each_row_is_trained_tested_and_reported(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scores:
        corpus: Any = dict.fromkeys(explaining.METRICS, 0.25)

    monkeypatch.setattr(coco, "score", lambda *_: Scores)  # a Java of its own, tested elsewhere
    for name, number in (("CLIPS", 6), ("PAIRS", 2), ("BATCH", 2)):
        monkeypatch.setattr(explaining, name, number)
    some = {name: explaining.ROWS[name] for name in ("naive", "tuned", "deaf")}
    monkeypatch.setattr(explaining, "ROWS", some)
    study = tmp_path / "study"
    explaining.reproduce(data, study, 1, TINY)
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- adiff -->\nold\n<!-- /adiff -->\nafter\n")
    report = explaining.write(study, page)
    results = {path.stem: json.loads(path.read_text()) for path in (study / "results").iterdir()}
    assert sorted(results) == ["deaf-0", "naive-0", "tuned-0"]
    assert results["naive-0"]["cross_layers"] == 0
    assert results["deaf-0"]["deaf"] is True
    for found in results.values():
        for tier in found["tiers"].values():
            assert 0 <= tier["sides"] <= 1
            assert 0 <= tier["true"] <= 1
            assert len(tier["examples"]) == 2
    lines = report.read_text().splitlines()
    assert sum(line.startswith("| tuned | 1 | ") for line in lines) == 3
    assert [line for line in lines if line.startswith("*")] == [
        "*words*",
        "*sentence*",
        "*paragraph*",
    ]
    assert page.read_text() == (
        f"before\n<!-- adiff -->\n{report.read_text()}<!-- /adiff -->\nafter\n"
    )
    written = (study / "results" / "naive-0.json").stat().st_mtime_ns
    explaining.reproduce(data, study, 1, TINY)
    assert (study / "results" / "naive-0.json").stat().st_mtime_ns == written
