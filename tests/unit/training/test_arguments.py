"""The command line of training: what is handed on, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training import __main__ as command
from training.datasets.errors import DataError
from training.train import _room_on


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
    arguments += ["--audiocaps", "none", "--clotho", "none"]  # they are read before it
    monkeypatch.setattr(sys, "argv", ["training", "train", *arguments])
    with pytest.raises(SystemExit, match=r"training stopped: .*cannot be read"):
        command.main()
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("train --esc50 none --sounds none --clotho {0} --audiocaps none --teacher t",
         r"training stopped: .*clotho_captions_development\.csv is missing"),
        ("train --esc50 none --sounds none --clotho none --audiocaps {0} --teacher t",
         r"training stopped: .*train\.csv is not UTF-8"),
        ("export {0} {0}/served", r"nothing was exported: .*config\.json is missing"),
        ("evaluate --url http://127.0.0.1:1", r"http://127.0.0.1:1 does not answer"),
        ("import-encoder yamnet {0}/no.zip {0}/encoder", r"nothing was imported: .*no\.zip"),
        ("reproduce table1 --esc50 {0}", r"the study stopped: .*esc50\.csv is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(
    arguments: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_bytes("audiocap_id".encode("utf-16"))
    words = [word.format(tmp_path) for word in arguments.split()]
    if words[0] in ("train", "reproduce"):
        words += ["--output", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["training", *words])
    with pytest.raises(SystemExit, match=says) as caught:
        command.main()
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(left: int) -> None:
        monkeypatch.setattr(
            "training.train.shutil.disk_usage", lambda _: SimpleNamespace(free=left)
        )

    free(0)
    with (
        pytest.raises(DataError, match=r"disk of .* is full: make room and run .* again"),
        _room_on(tmp_path),
    ):
        raise RuntimeError("[enforce fail at inline_container.cc:672]")
    free(1 << 40)
    with pytest.raises(RuntimeError, match="enforce fail"), _room_on(tmp_path):
        raise RuntimeError("[enforce fail at inline_container.cc:672]")


def test_export_is_handed_what_the_command_line_says(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[object] = []
    monkeypatch.setattr("training.train.export", lambda *given: handed.extend(given))
    assert call(monkeypatch, "export", "runs/x", "checkpoints/y") == 0
    assert handed == [Path("runs/x"), Path("checkpoints/y"), "float16", None]


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
