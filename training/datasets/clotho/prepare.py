"""Clotho v2.1: Zenodo's record, whose archives hold a folder of recordings per split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training.datasets.checks import (
    COMPLETE_IT,
    DOWNLOADS,
    checking,
    copy,
    recording_problems,
    refuse,
)
from training.datasets.clotho.read import read_captions
from training.datasets.download import RemoteFile, download
from training.datasets.errors import DataError

ZENODO = "https://zenodo.org"
CLOTHO_RECORD = 4783391
CLOTHO_CLIPS: Mapping[str, int] = {"development": 3839, "validation": 1045, "evaluation": 1045}
"""Split of v2.1 -> number of recordings."""


def prepare(
    root: Path,
    source: Path | None = None,
    *,
    base_url: str = ZENODO,
    clips: Mapping[str, int] = CLOTHO_CLIPS,
) -> str:
    """Bring Clotho v2.1 into ``root``, in the layout of ``training.datasets.clotho.read``.

    Args:
        root: folder to fill.
        source: folder with the record's CSV files and with its archives or what they hold; None
            downloads them.
        base_url: of Zenodo.
        clips: split -> number of recordings.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if it cannot be fetched, or something is missing.
    """
    origin = _Folder(source) if source else _Record(base_url, root / DOWNLOADS)
    wanted = [[_captions(split)] for split in clips]
    wanted += [[split, _archive(split)] for split in clips]
    absent = [
        " or ".join(names)
        for names in wanted
        if not (root / names[0]).exists() and not any(map(origin.has, names))
    ]
    if absent:
        raise DataError(f"{origin} lacks {', '.join(absent)}")
    problems = []
    for split, count in clips.items():
        problems += _prepare_split(root, origin, split, count)
    if problems:
        raise DataError("\n".join(problems))
    shutil.rmtree(root / DOWNLOADS, ignore_errors=True)
    counts = ", ".join(f"{count} {split}" for split, count in clips.items())
    return f"Clotho v2.1 is whole in {root}: {counts} recordings, five captions each"


def _prepare_split(root: Path, origin: _Folder | _Record, split: str, count: int) -> list[str]:
    """Put one split in its place; what is wrong with it."""
    captions = root / _captions(split)
    if not captions.exists():
        captions = origin.get(captions.name)
    try:
        names = [clip.file_name for clip in read_captions(captions.parent, split)]
    except DataError as error:  # says itself where
        return [f"{error}; {COMPLETE_IT}"]
    if len(names) != count:
        return [f"{captions}: it lists {len(names)} recordings, not {count}; {COMPLETE_IT}"]
    copy(captions, root)

    audio = root / split
    if audio.exists():
        return [f"{audio}: {problem}; {COMPLETE_IT}" for problem in _audio_problems(audio, names)]
    metadata = f"clotho_metadata_{split}.csv"  # who made each recording, under which licence
    if origin.has(metadata):
        copy(origin.get(metadata), root)
    source = origin.path if origin.has(split) else origin.get(_archive(split))
    try:
        with checking(source, [split], root) as staging:
            refuse(_audio_problems(staging / split, names))
            (staging / split).rename(audio)
    except DataError as error:
        return [str(error)]
    return []


def _audio_problems(folder: Path, names: Sequence[str]) -> list[str]:
    return recording_problems(folder, names, "audio", lambda info: info.frames > 0)


def _captions(split: str) -> str:
    return f"clotho_captions_{split}.csv"


def _archive(split: str) -> str:
    return f"clotho_audio_{split}.7z"


@dataclass(frozen=True)
class _Folder:
    """Files of the record that are here already, and folders that its archives hold."""

    path: Path

    def __str__(self) -> str:
        return f"the folder {self.path}"

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def get(self, name: str) -> Path:
        return self.path / name


@dataclass(frozen=True)
class _Record:
    """The record on Zenodo, whose files are downloaded to ``path`` when they are asked for."""

    base_url: str
    path: Path

    def __str__(self) -> str:
        return f"record {CLOTHO_RECORD} of {self.base_url}"

    def has(self, name: str) -> bool:
        return name in self._files

    def get(self, name: str) -> Path:
        return download(self._files[name], self.path)

    @cached_property
    def _files(self) -> dict[str, RemoteFile]:
        """Name -> what Zenodo says of the file. Raises DataError."""
        url = f"{self.base_url}/api/records/{CLOTHO_RECORD}"
        listing = download(RemoteFile(f"{CLOTHO_RECORD}.json", url), self.path)
        try:
            return {
                file["key"]: RemoteFile(
                    name=file["key"],
                    url=file["links"]["self"],
                    size=file["size"],
                    md5=file["checksum"].removeprefix("md5:"),
                )
                for file in json.loads(listing.read_bytes())["files"]
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            listing.unlink()
            raise DataError(
                f"{url} does not list the record's files as it used to ({error!r}): run the "
                "command again, or get the files by hand and give their folder with --from"
            ) from error
