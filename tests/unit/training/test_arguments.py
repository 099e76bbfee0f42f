"""The command line of training: what is handed on, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from training import __main__ as command


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
    arguments = "train --esc50 none --folds 1,2 --scale smoke --seed 3 --output x"
    assert call(monkeypatch, *arguments.split()) == 0
    data = handed.pop("data")
    assert (data.esc50, data.folds, data.start) == (None, (1, 2), None)
    assert handed == {"recipe": "hearing", "scale": "smoke", "seed": 3, "output": Path("x")}
    arguments = "train --recipe published --sounds s --audiocaps none --teacher t.pt --start e"
    assert call(monkeypatch, *arguments.split()) == 0
    data = handed.pop("data")
    assert (data.sounds, data.audiocaps) == (Path("s"), None)
    assert (data.teacher, data.start, data.folds) == (Path("t.pt"), Path("e"), None)
    assert data.esc50.name == "ESC-50"
    assert handed["output"] == Path("runs/published")


def test_a_teacher_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--output", str(tmp_path), "--teacher", str(tmp_path / "no")]
    monkeypatch.setattr(sys, "argv", ["training", "train", *arguments])
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
    expected = {"train": "--teacher", "export": "--dtype", "evaluate": "--card"}
    assert expected.get(words[0], "COMMAND") in shown


def test_no_command_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch) == 2
    assert "COMMAND" in capsys.readouterr().err
