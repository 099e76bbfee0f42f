"""What both data sets need: a look at what came before it goes to its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import soundfile
from tqdm import tqdm

from training.datasets.archives import staged
from training.datasets.errors import DataError

DOWNLOADS = ".downloads"
STAGING = ".unpacking"
SHOWN = 10
"""Names that a message lists; the others it counts."""
COMPLETE_IT = "complete it, or delete it and run the command again"


@contextmanager
def checking(source: Path, parts: Sequence[str], root: Path) -> Iterator[Path]:
    """``staged``; a download is deleted once it is in its place, or if it is not whole."""
    mine = source.parent == root / DOWNLOADS
    try:
        with staged(source, parts, root / STAGING) as staging:
            yield staging
    except DataError as error:
        if mine:
            source.unlink()
        advice = "it was deleted, run the command again" if mine else "complete it or get it again"
        raise DataError(f"{source}: {error}; {advice}") from error
    if mine:
        source.unlink()


def recording_problems(
    folder: Path, names: Sequence[str], what: str, fits: Callable[[Any], bool]
) -> list[str]:
    """Which recordings ``folder`` lacks, and which are not ``what`` they must be.

    ``fits`` says so of what ``soundfile.info`` tells.
    """
    # The names of some of Clotho's files begin or end with a space, which its CSV files lack.
    found = {path.name.strip(): path for path in folder.iterdir()} if folder.is_dir() else {}
    missing = [name for name in names if name not in found]
    unfit = []
    for name in tqdm(
        found.keys() & names, desc=f"checking {folder.name}", leave=False, disable=None
    ):
        try:
            info = soundfile.info(found[name])
        except soundfile.LibsndfileError:
            unfit.append(f"{name} (cannot be read)")
            continue
        if not fits(info):
            unfit.append(f"{name} ({info.channels} x {info.frames} at {info.samplerate} Hz)")
    return [
        f"{len(some)} of {len(names)} recordings are {wrong}: {_listed(some)}"
        for wrong, some in (("missing", missing), (f"not {what}", sorted(unfit)))
        if some
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def refuse(problems: Sequence[str]) -> None:
    """Raise DataError if there are any."""
    if problems:
        raise DataError("; ".join(problems))


def copy(file: Path, folder: Path) -> None:
    """Copy a file into a folder, whole or not at all, unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    if not target.exists():
        half = folder / f".{file.name}"
        shutil.copyfile(file, half)
        half.replace(target)
