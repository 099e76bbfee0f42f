"""The folder of real recordings: ``sounds.csv``, ``audio/`` and ``SOURCES.md``.

The table is the attribution that the recordings' licences ask for; it stays with them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from training.captions.ontology import AUDIOSET
from training.datasets.errors import DataError
from training.datasets.table import rows

TABLE = "sounds.csv"
SPLITS = ("train", "validation")
COLUMNS = ("file", "labels", "source", "original_path", "licence", "credit", "split")


@dataclass(frozen=True)
class SoundFile:
    """One recording, and what the table says of it."""

    file: str
    """Relative to the folder; unique."""
    labels: tuple[str, ...]
    """AudioSet's names of what is heard, the most specific first; at least one."""
    split: str
    """One of ``SPLITS``."""
    origin: str
    """The longer recording that it is cut from; no origin is in both splits."""
    licence: str
    credit: str
    """Who made it, as its licence asks; empty where nobody is named."""
    rank: int | None
    """How many labels a tagger thinks at least as likely as these; None where it is not told."""

    @property
    def group(self) -> str:
        """Split and origin."""
        return f"sounds-{self.split}|{self.origin}"

    @property
    def chooses(self) -> bool:
        """Whether nothing is trained on it, though it could be: it chooses between trainings.

        So does a twentieth, whole origins each.
        """
        digest = hashlib.sha256(self.group.encode()).hexdigest()
        return self.split == "train" and int(digest, 16) % 20 == 0


def read(root: Path, split: str | None = None) -> list[SoundFile]:
    """The recordings of one split, or of both, in the order of the table.

    Raises:
        FileNotFoundError: there is no table; the message says how the recordings must lie.
        DataError: as :func:`rows` does, or it holds a label, split or file that it may not.
    """
    path = root / TABLE
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: point to a folder with {TABLE} and audio/")
    # Nobody needs to be credited for what is in the public domain.
    sounds = [_sound(row, where) for where, row in rows(path, COLUMNS, empty=("credit",))]
    if twice := len(sounds) - len({sound.file for sound in sounds}):
        raise DataError(f"{path}: {twice} files are listed twice")
    trained = {sound.origin for sound in sounds if sound.split == "train"}
    if leaked := [s.file for s in sounds if s.split != "train" and s.origin in trained]:
        raise DataError(f"{path}: {leaked[0]} is of a recording that is trained on, too")
    return [sound for sound in sounds if split in (None, sound.split)]


def _sound(row: dict[str, str], where: str) -> SoundFile:
    labels = tuple(row["labels"].split(";"))
    if unknown := [label for label in labels if label not in AUDIOSET]:
        raise DataError(f"{where}: {unknown[0]!r} is none of AudioSet's labels")
    if row["split"] not in SPLITS:
        raise DataError(f"{where}: split is {row['split']!r}, not {' or '.join(SPLITS)}")
    origin = f"{row['source']}|{row['original_path']}"
    rank = row.get("label_rank")
    return SoundFile(
        row["file"], labels, row["split"], origin, row["licence"], row["credit"],
        int(rank) if rank else None,
    )  # fmt: skip
