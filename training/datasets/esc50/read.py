"""ESC-50 in its official layout: ``meta/esc50.csv`` and ``audio/``."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from training.datasets.errors import DataError
from training.datasets.recording import Recording, read_samples
from training.datasets.table import rows

COLUMNS = ("filename", "fold", "category", "esc10")
FOLDS = ("1", "2", "3", "4", "5")
TRAIN_FOLDS = (1, 2, 3)
VALIDATION_FOLDS = (4,)
TEST_FOLDS = (5,)
"""Fold 5 is for the final test only: nothing is trained on it or chosen by it."""
ESC10 = (
    "dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "sneezing",
    "clock_tick", "helicopter", "chainsaw",
)  # fmt: skip
"""The categories of the subset under CC BY."""


def read_meta(root: Path) -> list[dict[str, str]]:
    """The rows of ``meta/esc50.csv``.

    Raises:
        FileNotFoundError: it is not there; the message says how ESC-50 must lie.
        DataError: as :func:`rows` does, or a fold is none of the five.
    """
    path = root / "meta" / "esc50.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: point to a folder that holds ESC-50's meta/ and audio/"
        )
    found = []
    for where, row in rows(path, COLUMNS):
        if row["fold"] not in FOLDS:
            raise DataError(f"{where}: the fold is {row['fold']!r}, not 1 to 5")
        found.append(row)
    return found


def load(root: Path, folds: Collection[int], sample_rate: int) -> list[Recording]:
    """Decode the recordings of ``folds`` at ``sample_rate`` Hz, in the order of the CSV."""
    rows = [row for row in read_meta(root) if int(row["fold"]) in folds]

    def read(row: dict[str, str]) -> Recording:
        return Recording(
            name=row["filename"],
            kinds=(row["category"],),
            samples=read_samples(root / "audio" / row["filename"], sample_rate),
            split=row["fold"],
            licence="CC BY 3.0" if row["esc10"] == "True" else "CC BY-NC 3.0",
        )

    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(read, rows), total=len(rows), desc="ESC-50", leave=False))
