"""Clotho's captions in their official layout.

It is that of Zenodo record 4783391: ``clotho_captions_{split}.csv`` in the root and, once the audio
is unpacked, a folder of WAV files per split beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training.datasets.errors import DataError
from training.datasets.table import rows

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
        ValueError: if the split is unknown.
        DataError: as :func:`rows` does, or a name occurs twice.
        FileNotFoundError: if the split has no CSV file under ``root``.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: Clotho has {', '.join(SPLITS)}")
    path = root / f"clotho_captions_{split}.csv"
    wavs = _wav_files(root / split)
    columns = ["file_name", *(f"caption_{i}" for i in range(1, CAPTIONS_PER_CLIP + 1))]
    clips: dict[str, ClothoClip] = {}
    for where, row in rows(path, columns):
        file_name, *captions = (row[name] for name in columns)
        if file_name in clips:
            raise DataError(f"{where}: {file_name!r} occurs twice")
        clips[file_name] = ClothoClip(file_name, tuple(captions), wavs.get(file_name))
    return list(clips.values())


def _wav_files(folder: Path) -> dict[str, Path]:
    """Name -> file; the names of some files begin or end with a space, which the CSV lacks."""
    if not folder.is_dir():
        return {}
    return {path.name.strip(): path for path in folder.iterdir()}
