"""The folder of real recordings: nobody publishes it, so it is copied and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from training.datasets.checks import COMPLETE_IT, checking, recording_problems, refuse
from training.datasets.errors import DataError
from training.datasets.sounds.read import SPLITS, TABLE, SoundFile, read

PARTS = (TABLE, "SOURCES.md", "audio", "credits")
"""What is kept; the texts in ``credits/`` are those that some licences want to go along."""
NEEDED = PARTS[:3]


def prepare(root: Path, source: Path | None = None) -> str:
    """Bring the recordings into ``root``, in the layout of ``training.datasets.sounds.read``.

    Args:
        root: folder to fill.
        source: a folder of the same layout; None checks what is in ``root``.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if something is missing or not what the table says.
    """
    if not all((root / name).exists() for name in NEEDED):
        if source is None:
            raise DataError(
                f"{root} lacks {' or '.join(NEEDED)}, and these recordings are published nowhere: "
                "give a folder that holds them with --from"
            )
        with checking(source, [*PARTS[:2], *_folders(source)], root) as staging:
            refuse(_problems(staging))
            for name in PARTS:
                if (staging / name).exists() and not (root / name).exists():
                    (staging / name).rename(root / name)
    if problems := _problems(root):
        raise DataError(f"{root}: {'; '.join(problems)}; {COMPLETE_IT}")
    sounds = read(root)
    restricted = sum("NC" in sound.licence for sound in sounds)
    counts = ", ".join(f"{sum(s.split == split for s in sounds)} {split}" for split in SPLITS)
    return (
        f"the real recordings are whole in {root}: {counts}, of which {restricted} for "
        f"non-commercial use only; {TABLE} credits each, keep it with them"
    )


def _folders(source: Path) -> list[str]:
    """The folders below ``source`` that hold files, each after the one that it lies in."""
    return [
        str(path.relative_to(source))
        for part in PARTS[2:]
        for path in [source / part, *sorted((source / part).rglob("*"))]
        if path.is_dir()
    ]


def _problems(folder: Path) -> list[str]:
    """What is wrong with the recordings in ``folder``."""
    if missing := [name for name in NEEDED if not (folder / name).exists()]:
        return [f"{', '.join(missing)} is missing"]
    try:
        sounds = read(folder)
    except DataError as error:  # says itself where
        return [str(error)]
    problems: list[str] = []
    for place, names in _by_folder(sounds).items():
        found = recording_problems(folder / place, names, "audio", lambda info: info.frames > 0)
        problems += [f"{place}: {problem}" for problem in found]
    return problems


def _by_folder(sounds: Sequence[SoundFile]) -> dict[str, list[str]]:
    """Folder -> the names in it."""
    folders: dict[str, list[str]] = {}
    for sound in sounds:
        path = PurePosixPath(sound.file)
        folders.setdefault(str(path.parent), []).append(path.name)
    return folders
