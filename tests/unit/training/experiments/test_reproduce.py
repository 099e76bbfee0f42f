"""The paper's experiments in miniature: a whole tiny study, from data to report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from training import __main__ as command
from training.evaluation import coco
from training.experiments.rows import TABLES
from training.recipes import adl
from training.scenes.algorithm1 import CONDITIONS

GENERATION = GenerationConfig(  # type: ignore[no-untyped-call]
    num_beams=2, min_length=5, max_length=10, no_repeat_ngram_size=3, length_penalty=1.0,
    early_stopping=True,
)  # fmt: skip


def scored(candidates: dict[str, str], references: dict[str, tuple[str, ...]]) -> coco.Scores:
    """What stands in for the metrics, which have tests of their own and take Java."""
    assert candidates.keys() == references.keys()
    return coco.Scores({metric: 0.5 for metric in coco.METRICS if metric != "SPICE"}, {})


@pytest.mark.usefixtures("_few")
def test_a_study_from_data_to_report(
    sources: tuple[Path, Path],
    tmp_path: Path,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three rows; a second run does only what is missing."""
    monkeypatch.setattr(coco, "score", scored)
    monkeypatch.setattr(adl, "baseline_search", lambda **_: GENERATION)
    monkeypatch.setitem(TABLES, "table1", ("baseline", "subtraction-same-same"))
    checkpoint.save(tmp_path / "encoder", captioner, tokenizer, GENERATION)
    esc50, clotho = sources
    study = tmp_path / "study"
    options = [
        *("--esc50", str(esc50), "--clotho", str(clotho), "--encoder", str(tmp_path / "encoder")),
        *("--output", str(study), "--epochs", "14", "--learning-rate", "1e-3", "--variants", "1"),
        *("--seeds", "1"),
    ]

    def run(table: str) -> str:
        monkeypatch.setattr("sys.argv", ["training", "reproduce", table, *options])
        command.main()
        return capsys.readouterr().out

    run("table3")
    results = {path.stem: path for path in (study / "results").iterdir()}
    assert results.keys() == {f"{row}-0" for row in TABLES["table3"]}
    masking = json.loads(results["masking-same-same-0"].read_text())
    text = (study / "report.md").read_text()
    assert "| masking-same-same | 1 |" in text
    assert "0.606" in text  # the paper's
    assert all((study / name).stat().st_size > 1000 for name in ("learning.png", "conditions.png"))

    before = results["masking-same-same-0"].stat().st_mtime_ns
    out = run("table1")
    assert "subtraction-same-same, seed 0" in out
    assert "baseline, seed 0" not in out
    assert results["masking-same-same-0"].stat().st_mtime_ns == before
    assert "| subtraction-same-same | 1 |" in (study / "report.md").read_text()

    assert (masking["condition"], masking["epochs"], masking["batch_size"]) == ("same/same", 14, 32)
    assert masking["steps"] == 14 * 5 // 32
    assert {*masking["scores"]} == {"human", "grammar"}
    assert {*masking["differences"]} == {*masking["auc"]} == {*CONDITIONS}
    assert {*masking["inverse"]} == {"recall", "leak"}
    assert {"in", "in+", "in+ - ref", "in+ - in"} < {*masking["examples"][0]}
    subtraction = json.loads((study / "results" / "subtraction-same-same-0.json").read_text())
    assert {*subtraction["differences"]} == {*CONDITIONS}
    assert not {"auc", "timelines"} & {*subtraction}  # it has no mask
