"""AudioCaps' captions in their official layout: a CSV file per split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.datasets.errors import DataError
from training.datasets.table import rows

SPLITS = ("train", "val", "test")
"""Nothing is trained on the second or the third."""
COLUMNS = ("audiocap_id", "youtube_id", "start_time", "caption")


@dataclass(frozen=True)
class AudioCap:
    """A caption and the clip that it is of."""

    number: int
    """Unique in the whole data set."""
    clip: str
    """YouTube's identifier and, after a stroke, the second at which the clip of 10 s begins."""
    caption: str
    """As written, outer spaces stripped."""


def read_captions(root: Path, split: str) -> list[AudioCap]:
    """The captions of one split, in the order of its CSV file.

    Raises:
        ValueError: if the split is unknown.
        DataError: as :func:`rows` does, or a number is none or occurs twice.
        FileNotFoundError: if the split has no CSV file under ``root``.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: AudioCaps has {', '.join(SPLITS)}")
    path = root / f"{split}.csv"
    found: dict[str, AudioCap] = {}
    for where, row in rows(path, COLUMNS):
        number, video, start, caption = (row[name] for name in COLUMNS)
        if number in found:
            raise DataError(f"{where}: {number} occurs twice")
        if not number.isdecimal():
            raise DataError(f"{where}: {number!r} is no number")
        found[number] = AudioCap(int(number), f"{video}/{start}", caption)
    return list(found.values())
