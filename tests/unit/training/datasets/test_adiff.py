"""ADIFF's published answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.datasets.adiff.read import read_answers
from training.datasets.errors import DataError


def test_each_answer_once(tmp_path: Path) -> None:
    for name, answers in (("ACD", ("One.", "Two.", "One.")), ("CLD", ('"Two."', '"With, comma."'))):
        (tmp_path / name).mkdir()
        lines = "\n".join(f"set,{answer}" for answer in answers)
        (tmp_path / name / "x_detail_answer.csv").write_text(f"taskname,answer\n{lines}\n")
        (tmp_path / name / "other.csv").write_text("nothing")
    assert read_answers(tmp_path) == ["One.", "Two.", "With, comma."]


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ACD and CLD"):
        read_answers(tmp_path)
