"""The rows of audio difference captioning in miniature, from recordings to report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from training import __main__ as command
from training.captions.edits import Edit, Noun
from training.evaluation import coco
from training.experiments import edit_report, edit_testing, edits
from training.experiments.esc_scenes import Roots
from training.samples import kept_pairs
from training.samples.kept_pairs import Kept

DOG, RAIN = Noun("Dog", "a dog", False), Noun("Rain", "rain", False)


def test_a_study_is_done_once_and_reported(
    roots: Roots,
    tmp_path: Path,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {
        "SOUNDS": ("dog", "rain", "church_bells"),
        "TRAINING": 6,
        "TESTING": {"add": 3, "none": 1},
        "STEPS": 2,
        "BATCH": 2,
        "WIDTH": 8,
        "HIDDEN": 4,
        "ROWS": {name: edits.ROWS[name] for name in ("cac", "cac-late-1", "masking")},
    }.items():
        monkeypatch.setattr(edits, name, value)
    monkeypatch.setattr(coco, "score", lambda *_: coco.Scores(dict.fromkeys(coco.METRICS, 0.5), {}))
    search = GenerationConfig(num_beams=2)  # type: ignore[no-untyped-call]
    checkpoint.save(tmp_path / "encoder", captioner, tokenizer, search)
    page = tmp_path / "changes.md"
    page.write_text(f"before\n{edit_report.START}\nold\n{edit_report.END}\nafter\n")
    arguments = [
        *("--esc50", str(roots.esc50), "--encoder", str(tmp_path / "encoder"), "--seeds", "2"),
        *("--output", str(tmp_path / "study"), "--docs", str(tmp_path)),
    ]

    def run(*tables: str) -> str:
        monkeypatch.setattr("sys.argv", ["training", "reproduce", *tables, *arguments])
        command.main()
        return capsys.readouterr().out

    run("adc", "report")
    results = {path.stem: path.stat() for path in (tmp_path / "study" / "results").iterdir()}
    assert results.keys() == {f"{row}-{seed}" for row in edits.ROWS for seed in range(2)}
    found = json.loads((tmp_path / "study" / "results" / "cac-0.json").read_text())
    assert found["operation"].keys() == {"all", "add", "none"}
    assert found["focus"] > 0
    text = page.read_text()
    assert text.startswith(f"before\n{edit_report.START}\n6 runs of ")
    assert text.endswith(f"{edit_report.END}\nafter\n")
    assert "| cac-late-1 | 2 |" in text
    assert "| late over early |" not in text, "there are no rows of it"
    assert (tmp_path / "study" / "attention.png").exists()
    assert "seed" not in run("adc", "report"), "nothing was left to do"
    again = {path.stem: path.stat() for path in (tmp_path / "study" / "results").iterdir()}
    assert all(again[name].st_mtime_ns == one.st_mtime_ns for name, one in results.items())


@pytest.mark.parametrize(
    ("told", "made", "operations", "sounds"),
    [
        ("add a dog", [Edit("added", DOG)], True, True),
        ("add a cat", [Edit("added", DOG)], True, False),
        ("remove the dog", [Edit("added", DOG)], False, False),
        ("change nothing", [], True, True),
        ("change nothing", [Edit("added", DOG)], False, False),
        ("add a dog", [], False, False),
        ("add a dog and make the rain louder",
         [Edit("louder", RAIN), Edit("added", DOG)], True, True),
    ],
)  # fmt: skip
def test_what_is_right(told: str, made: list[Edit], operations: bool, sounds: bool) -> None:
    assert edit_testing.operations_right(told, made) is operations
    if operations:
        assert edit_testing.sounds_right(told, made) is sounds


def test_pairs_are_kept_as_they_are(tmp_path: Path) -> None:
    one = Kept("add", torch.ones(2, 3).half(), torch.zeros(4, 3).half(), (Edit("added", DOG),),
               torch.tensor([True, False, False, True]))  # fmt: skip
    kept_pairs.save([one], tmp_path / "a" / "pairs.pt")
    [found] = kept_pairs.load(tmp_path / "a" / "pairs.pt")
    assert (found.name, found.edits) == (one.name, one.edits)
    assert torch.equal(found.before, one.before)
    assert torch.equal(found.after, one.after)
    assert torch.equal(found.apart, one.apart)
