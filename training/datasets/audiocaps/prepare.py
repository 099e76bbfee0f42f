"""AudioCaps' captions: three files of its repository on GitHub."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from training.datasets.audiocaps.read import read_captions
from training.datasets.checks import COMPLETE_IT, DOWNLOADS, copy
from training.datasets.download import RemoteFile, download
from training.datasets.errors import DataError

GITHUB = "https://raw.githubusercontent.com"
FOLDER = "cdjkim/audiocaps/master/dataset"
AUDIOCAPS_CAPTIONS: Mapping[str, int] = {"train": 49_838, "val": 2_475, "test": 4_875}
"""Split -> number of captions."""


def prepare(
    root: Path,
    source: Path | None = None,
    *,
    base_url: str = GITHUB,
    captions: Mapping[str, int] = AUDIOCAPS_CAPTIONS,
) -> str:
    """Bring the captions into ``root``, in the layout of ``training.datasets.audiocaps.read``.

    Args:
        root: folder to fill.
        source: folder with the three CSV files; None downloads them.
        base_url: of GitHub's files.
        captions: split -> number of captions.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if a file cannot be fetched, or is not whole.
    """
    for split, count in captions.items():
        name = f"{split}.csv"
        if (root / name).exists():
            _check(root, split, count, COMPLETE_IT)
        elif source:
            _check(source, split, count, "complete it or get it again")
            copy(source / name, root)
        else:
            url = f"{base_url}/{FOLDER}/{name}"
            file = download(RemoteFile(name, url), root / DOWNLOADS)
            try:
                _check(file.parent, split, count, "it was deleted, run the command again")
            except DataError:
                file.unlink()
                raise
            copy(file, root)
    shutil.rmtree(root / DOWNLOADS, ignore_errors=True)
    counts = ", ".join(f"{count} {split}" for split, count in captions.items())
    return f"AudioCaps' captions are whole in {root}: {counts}"


def _check(folder: Path, split: str, count: int, advice: str) -> None:
    """Raises DataError if the split's file in ``folder`` is not whole."""
    path = folder / f"{split}.csv"
    try:
        found = len(read_captions(folder, split))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {advice}") from error
    except DataError as error:  # says itself where
        raise DataError(f"{error}; {advice}") from error
    if found != count:
        raise DataError(f"{path}: it holds {found} captions, not {count}; {advice}")
