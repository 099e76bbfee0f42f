"""Clotho's captions in their official layout.

It is that of Zenodo record 4783391: ``clotho_captions_{split}.csv`` in the root and, once the audio
is unpacked, a folder of WAV files per split beside it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("development", "validation", "evaluation")
CAPTIONS_PER_CLIP = 5


@dataclass(frozen=True)
class ClothoClip:
    """One recording and what five people wrote about it."""

    file_name: str
    """Unique within its split; four names of v2.1 occur in two splits."""
    captions: tuple[str, ...]
    """As written, outer spaces stripped; ``normalize_caption`` makes them fit for training."""
    audio: Path | None
    """The WAV file; None where it is not at hand."""


def read_captions(root: Path, split: str) -> list[ClothoClip]:
    """The clips of one split, in the order of its CSV file.

    Raises:
        ValueError: if the split is unknown, or the file has a column, name or caption missing, a
            row too long, or a name twice.
        FileNotFoundError: if the split has no CSV file under ``root``.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: Clotho has {', '.join(SPLITS)}")
    path = root / f"clotho_captions_{split}.csv"
    wavs = _wav_files(root / split)
    columns = ["file_name", *(f"caption_{i}" for i in range(1, CAPTIONS_PER_CLIP + 1))]
    clips: dict[str, ClothoClip] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey="", restval="")
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise ValueError(f"{path}: column {', '.join(missing)} is missing")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if "" in row:
                raise ValueError(f"{where}: more fields than columns")
            if missing := [name for name in columns if not row[name].strip()]:
                raise ValueError(f"{where}: {', '.join(missing)} is missing")
            file_name, *captions = (row[name].strip() for name in columns)
            if file_name in clips:
                raise ValueError(f"{where}: {file_name!r} occurs twice")
            clips[file_name] = ClothoClip(file_name, tuple(captions), wavs.get(file_name))
    return list(clips.values())


def _wav_files(folder: Path) -> dict[str, Path]:
    """Name -> file; the names of some files begin or end with a space, which the CSV lacks."""
    if not folder.is_dir():
        return {}
    return {path.name.strip(): path for path in folder.iterdir()}
