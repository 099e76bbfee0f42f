"""The paper's experiments in miniature: a whole tiny study, from data to report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.encoders.efficientat import EfficientAtNetwork
from training import __main__ as command
from training.evaluation import coco
from training.experiments import reproduce
from training.experiments.esc_scenes import Roots
from training.experiments.rows import TABLES
from training.experiments.testing import PER_CLIP
from training.recipes import adl
from training.samples.features import FRAMES
from training.scenes.algorithm1 import CONDITIONS

GENERATION = GenerationConfig(  # type: ignore[no-untyped-call]
    num_beams=2, min_length=5, max_length=10, no_repeat_ngram_size=3, length_penalty=1.0,
    early_stopping=True,
)  # fmt: skip


def scored(candidates: dict[str, str], references: dict[str, tuple[str, ...]]) -> coco.Scores:
    """What stands in for the metrics, which have tests of their own and take Java."""
    assert candidates.keys() == references.keys()
    corpus = {metric: 0.5 for metric in coco.METRICS if metric != "SPICE"}
    return coco.Scores(corpus, {metric: dict.fromkeys(candidates, 0.5) for metric in PER_CLIP})


@pytest.mark.usefixtures("_few")
def test_a_study_from_data_to_report(
    roots: Roots,
    tmp_path: Path,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three rows; a second run does only what is missing, and a row again says the same."""
    monkeypatch.setattr(coco, "score", scored)
    monkeypatch.setattr(adl, "baseline_search", lambda **_: GENERATION)
    monkeypatch.setitem(TABLES, "table1", ("baseline", "subtraction-same-same"))
    checkpoint.save(tmp_path / "encoder", captioner, tokenizer, GENERATION)
    study = tmp_path / "study"
    options = [
        *("--esc50", str(roots.esc50), "--sounds", str(roots.sounds)),
        *("--clotho", str(roots.clotho), "--audiocaps", str(roots.audiocaps)),
        *("--encoder", str(tmp_path / "encoder"), "--output", str(study), "--epochs", "16"),
        *("--batch-size", "4", "--learning-rate", "1e-3", "--variants", "1", "--seeds", "1"),
    ]

    def run(*tables: str) -> str:
        monkeypatch.setattr("sys.argv", ["training", "reproduce", *tables, *options])
        command.main()
        return capsys.readouterr().out

    run("table3", "report")
    results = {(one["row"], one["seed"]): one for one in reproduce.read(study)}
    assert results.keys() == {(row, 0) for row in TABLES["table3"]}
    masking = results["masking-same-same", 0]
    text = (study / "report.md").read_text()
    assert "| masking-same-same | 1 |" in text
    assert "0.606" in text  # the paper's
    plots = ("learning", "gain", "masks")
    assert all((study / f"{name}.png").stat().st_size > 1000 for name in plots)

    docs = tmp_path / "docs"
    docs.mkdir()
    page = docs / "reproduction-bundled.md"  # the encoder is no tagger
    page.write_text(
        "<!-- answer: made by reproduce report -->\n<!-- answer: end -->\n"
        "<!-- figures: made by reproduce report -->\n<!-- figures: end -->\n"
    )
    run("report", "--docs", str(docs))
    assert "| masking-same-same | 1 |" in page.read_text()
    assert page.with_suffix(".json").read_text() == (study / "summary.json").read_text()
    assert {path.stem for path in (docs / "images" / page.stem).iterdir()} == {*plots}

    before = (study / reproduce.RESULTS).read_text()
    out = run("table1", "report")
    assert "subtraction-same-same, seed 0" in out
    assert "baseline, seed 0" not in out
    after = (study / reproduce.RESULTS).read_text()
    assert after.startswith(before)
    assert "| subtraction-same-same | 1 |" in (study / "report.md").read_text()

    settings = masking["settings"]
    assert (settings["condition"], settings["epochs"], settings["batch_size"]) == (
        "same/same",
        16,
        4,
    )
    assert masking["steps"] == 16 * 6 // 4
    assert {*masking["scores"]} == {"human", "grammar"}
    assert len(masking["validation"]) == adl.CHECKS
    assert masking["best"]["step"] in [step for step, _ in masking["validation"]]
    assert {*masking["differences"]} == {*masking["auc"]} == {*CONDITIONS}
    assert {"recall", "leak"} < {*masking["inverse"]}
    assert {"in", "in+", "same/same", "in+ - in"} < {*masking["captions"]}
    subtraction = json.loads(after.splitlines()[-1])
    assert {*subtraction["differences"]} == {*CONDITIONS}
    assert not {"auc", "timelines"} & {*subtraction}  # it has no mask

    (study / reproduce.RESULTS).unlink()
    run("table3")
    again = next(one for one in reproduce.read(study) if one["row"] == "masking-same-same")
    same = ("losses", "validation", "captions", "per_clip", "best", "auc")
    assert all(again[key] == masking[key] for key in same)


@pytest.mark.usefixtures("_few")
def test_an_encoder_that_learns_hears_what_its_first_layers_say(
    roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these say is kept apart from frames."""
    monkeypatch.setattr(coco, "score", scored)
    monkeypatch.setattr(adl, "baseline_search", lambda **_: GENERATION)
    monkeypatch.setitem(TABLES, "encoder", ("masking-learning",))
    torch.manual_seed(0)
    torch.save(EfficientAtNetwork().state_dict(), tmp_path / "mn04.pt")
    data = reproduce.Data(roots, real=False, encoder=tmp_path / "mn04.pt")
    given = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3}
    study = tmp_path / "study"
    reproduce.reproduce(["encoder"], data=data, output=study, variants=1, seeds=1, given=given)
    [learning] = reproduce.read(study)
    assert learning["settings"]["encoder_learns"]
    assert {*learning["differences"]} == {*CONDITIONS}
    assert not (study / "features").exists()
    clips = study / "features-learning" / "test" / "clips"
    assert np.load(clips / FRAMES).shape == (7 * len(learning["captions"]["in"]), 256)


def test_the_learning_rate_is_the_one_that_validated_best(tmp_path: Path) -> None:
    assert reproduce.chosen_rate(tmp_path) == {}
    lines = [
        {
            "row": row,
            "seed": 0,
            "settings": {"learning_rate": rate},
            "validation": [(1, first), (2, 9)],
        }
        for row, rate, first in (
            ("baseline-rate-3e-4", 3e-4, 3.0),
            ("baseline-rate-1e-3", 1e-3, 2.5),
            ("baseline", 7, 1.0),
        )
    ]
    (tmp_path / reproduce.RESULTS).write_text("\n".join(map(json.dumps, lines)))
    assert reproduce.chosen_rate(tmp_path) == {"learning_rate": 1e-3}
