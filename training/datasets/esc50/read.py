"""ESC-50 in its official layout: ``meta/esc50.csv`` and ``audio/``.

Shapes: S samples.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.audio import decode

TRAIN_FOLDS = (1, 2, 3)
VALIDATION_FOLDS = (4,)
TEST_FOLDS = (5,)
"""Fold 5 is for the final test only: nothing is trained on it or chosen by it."""


@dataclass(frozen=True)
class Clip:
    """One recording of one kind of sound."""

    name: str
    kind: str
    fold: int
    esc10: bool
    samples: NDArray[np.float32]
    """[S] mono in [-1, 1]."""


def read_meta(root: Path) -> list[dict[str, str]]:
    """The rows of ``meta/esc50.csv``.

    Raises:
        FileNotFoundError: it is not there; the message says how ESC-50 must lie.
    """
    path = root / "meta" / "esc50.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: point to a folder that holds ESC-50's meta/ and audio/"
        )
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def load(
    root: Path, folds: Collection[int], sample_rate: int, esc10_only: bool = False
) -> list[Clip]:
    """Decode the clips of ``folds`` to mono at ``sample_rate`` Hz, in the order of the CSV."""
    rows = [
        row
        for row in read_meta(root)
        if int(row["fold"]) in folds and (row["esc10"] == "True" or not esc10_only)
    ]

    def read(row: dict[str, str]) -> Clip:
        data = (root / "audio" / row["filename"]).read_bytes()
        return Clip(
            name=row["filename"],
            kind=row["category"],
            fold=int(row["fold"]),
            esc10=row["esc10"] == "True",
            samples=decode(data, sample_rate).samples.numpy(),
        )

    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(read, rows), total=len(rows), desc="ESC-50", leave=False))
