"""The smallest whole run: sounds made in code, every stage, export, and a caption."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engine.captioner import Captioner
from model.audio import decode
from model.types import GenerationOptions
from training import __main__ as command
from training.evaluation.files import wav
from training.recipes.recipe import Data
from training.train import FINAL, export, train

STAGES = ("tagging", "comparing", "captioning", "joint")
NO_DATA = Data(None, None, None, None, Path("none"))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run."""
    output = tmp_path_factory.mktemp("run")
    train(recipe="masking", data=NO_DATA, output=output, scale="smoke")
    return output


def test_a_smoke_run_writes_every_stage_and_a_checkpoint(run_dir: Path) -> None:
    assert {path.name for path in run_dir.iterdir()} == {*STAGES, FINAL, ".lock"}
    for stage in STAGES:
        assert (run_dir / stage / "checkpoint-4" / "model.safetensors").is_file()
        assert [*(run_dir / stage).rglob("events.out.tfevents.*")]


def test_an_exported_checkpoint_captions_and_is_half_the_size(
    run_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "exported"
    target.mkdir()
    (target / "README.md").write_text("---\nmodel_name: smoke\n---\nThe card stays.\n")
    export(run_dir, target, "float16")
    full, half = ((p / "model.safetensors").stat().st_size for p in (run_dir / FINAL, target))
    assert half == pytest.approx(full / 2, rel=0.02)

    captioner = Captioner.from_dir(target, device="cpu")
    assert captioner.name == "smoke"
    rng = np.random.default_rng(0)
    clips = [
        decode(wav(rng.uniform(-0.5, 0.5, 24_000).astype(np.float32)), captioner.sample_rate)
        for _ in range(2)
    ]
    brief = GenerationOptions(max_new_tokens=8)
    (plain,) = captioner.caption(clips[:1], brief)
    assert plain.best.tokens > 1
    assert plain.best.text
    (difference,) = captioner.difference([(clips[0], clips[1])], brief)
    assert difference.timeline is not None
    assert difference.best.tokens > 1


def encoder(weights: Path) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("captioner."): value
        for name, value in load_file(weights).items()
        if name.removeprefix("captioner.").startswith("encoder.")
    }


def test_the_encoder_is_pretrained_then_frozen_then_learns_on(run_dir: Path) -> None:
    tagging, comparing, captioning, joint = (
        encoder(run_dir / stage / "checkpoint-4" / "model.safetensors") for stage in STAGES
    )
    final = encoder(run_dir / FINAL / "model.safetensors")
    assert tagging
    assert tagging.keys() == comparing.keys() == captioning.keys() == joint.keys() == final.keys()
    for name, pretrained in comparing.items():
        assert torch.equal(captioning[name], pretrained)
        assert torch.equal(final[name], joint[name])
        if "running_" in name:
            assert torch.equal(joint[name], pretrained)
    assert any(not torch.equal(comparing[name], tagging[name]) for name in tagging)
    assert any(not torch.equal(joint[name], comparing[name]) for name in tagging)


def test_a_finished_run_is_not_trained_again(run_dir: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in run_dir.rglob("checkpoint-4/*")}
    weights = (run_dir / FINAL / "model.safetensors").read_bytes()
    train(recipe="masking", data=NO_DATA, output=run_dir, scale="smoke")
    assert before == {p: p.stat().st_mtime_ns for p in run_dir.rglob("checkpoint-4/*")}
    assert (run_dir / FINAL / "model.safetensors").read_bytes() == weights


# The command line --------------------------------------------------------------------------------


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of ``python -m training``, 0 where it returns."""
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    try:
        command.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize("folds", ["5", "1,2,5"])
def test_fold_5_is_never_trained_on(
    folds: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.train.train", lambda **_: pytest.fail("it was"))
    assert call(monkeypatch, "train", "--folds", folds) == 2
    assert "fold 5 is for the final test" in capsys.readouterr().err


@pytest.mark.parametrize("folds", ["0", "1,6", "x", ""])
def test_there_are_folds_1_to_5(
    folds: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.evaluation.over_http.evaluate", lambda *_: pytest.fail("it ran"))
    assert call(monkeypatch, "evaluate", "--folds", folds) == 2
    assert "--folds" in capsys.readouterr().err


def test_train_is_handed_what_the_command_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: dict[str, Any] = {}
    monkeypatch.setattr("training.train.train", lambda **options: handed.update(options))
    arguments = "train --esc50 none --folds 1,2 --esc10-only --scale smoke --seed 3 --output x"
    assert call(monkeypatch, *arguments.split()) == 0
    data = handed.pop("data")
    assert (data.esc50, data.folds, data.esc10_only) == (None, (1, 2), True)
    assert handed == {"recipe": "masking", "scale": "smoke", "seed": 3, "output": Path("x")}
    arguments = "train --recipe hearing --sounds s --audiocaps none --teacher t.pt --start e"
    assert call(monkeypatch, *arguments.split()) == 0
    data = handed.pop("data")
    assert (data.sounds, data.audiocaps) == (Path("s"), None)
    assert (data.teacher, data.start, data.folds) == (Path("t.pt"), Path("e"), None)
    assert data.esc50.name == "ESC-50"
    assert handed["output"] == Path("runs/hearing")


def test_a_teacher_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--output", str(tmp_path), "--teacher", str(tmp_path / "no")]
    monkeypatch.setattr(sys, "argv", ["training", "train", "--recipe", "hearing", *arguments])
    with pytest.raises(SystemExit, match=r"nothing was trained: .*cannot be read"):
        command.main()
    assert not capsys.readouterr().out


def test_export_is_handed_what_the_command_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[object] = []
    monkeypatch.setattr("training.train.export", lambda *given: handed.extend(given))
    assert call(monkeypatch, "export", "runs/x", "checkpoints/y") == 0
    assert handed == [Path("runs/x"), Path("checkpoints/y"), "float16"]


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["export", "--help"],
                                   ["evaluate", "--help"]])  # fmt: skip
def test_help(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, *words) == 0
    shown = capsys.readouterr().out
    assert "usage: python -m training" in shown
    expected = {"train": "--esc10-only", "export": "--dtype", "evaluate": "--card"}
    assert expected.get(words[0], "COMMAND") in shown


def test_no_command_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch) == 2
    assert "COMMAND" in capsys.readouterr().err
