"""ADIFF's answers (soham97/ADIFF, MIT): CSV files in ``ACD/`` and ``CLD/``.

A language model wrote them of two captions; it heard nothing. They show a manner, not what is true.
"""

from __future__ import annotations

from pathlib import Path

from training.datasets.errors import DataError
from training.datasets.table import rows

SETS = ("ACD", "CLD")


def read_answers(root: Path) -> list[str]:
    """All of them, each once.

    Raises:
        DataError: there is none, or as :func:`rows` does.
    """
    files = [file for name in SETS for file in sorted((root / name).glob("*_answer.csv"))]
    if not files:
        raise DataError(f"{root} holds no answers: point to a folder with {' and '.join(SETS)}")
    tables = (rows(file, ("answer",), empty=("answer",)) for file in files)
    found = (row["answer"] for table in tables for _, row in table)
    return [*dict.fromkeys(answer for answer in found if answer)]
