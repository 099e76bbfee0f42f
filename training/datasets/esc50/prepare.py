"""ESC-50: the archive that GitHub makes of its repository."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from training.datasets.checks import COMPLETE_IT, DOWNLOADS, checking, recording_problems, refuse
from training.datasets.download import RemoteFile, download
from training.datasets.errors import DataError
from training.datasets.esc50.read import read_meta

GITHUB = "https://github.com"
ESC50_PARTS = ("meta", "audio", "LICENSE", "README.md")
"""What is kept of the archive; its licence file names the author of every recording."""
ESC50_RATE = 44_100
ESC50_SECONDS = 5


@dataclass(frozen=True)
class Esc50Size:
    """How much there must be of ESC-50."""

    clips: int = 2000
    classes: int = 50
    folds: int = 5


ESC50_SIZE = Esc50Size()


def prepare(
    root: Path,
    source: Path | None = None,
    *,
    base_url: str = GITHUB,
    size: Esc50Size = ESC50_SIZE,
) -> str:
    """Bring ESC-50 into ``root``, in the layout of ``training.datasets.esc50.read``.

    Nobody publishes a checksum of the archive, so what it holds is checked all the closer.

    Args:
        root: folder to fill.
        source: the archive, or a folder with ``meta/`` and ``audio/``; None downloads it.
        base_url: of GitHub.
        size: how much there must be.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if it cannot be fetched, or something is missing.
    """
    if not all((root / name).exists() for name in ("meta", "audio")):
        url = f"{base_url}/karolpiczak/ESC-50/archive/master.zip"
        source = source or download(RemoteFile("ESC-50-master.zip", url), root / DOWNLOADS)
        with checking(source, ESC50_PARTS, root) as staging:
            # An archive of GitHub's holds one folder, named after the branch.
            folder = next((meta.parent for meta in staging.glob("*/meta")), staging)
            refuse(_problems(folder, size))
            for name in ESC50_PARTS:
                if (folder / name).exists() and not (root / name).exists():
                    (folder / name).rename(root / name)
    if problems := _problems(root, size):
        raise DataError(f"{root}: {'; '.join(problems)}; {COMPLETE_IT}")
    shutil.rmtree(root / DOWNLOADS, ignore_errors=True)
    return (
        f"ESC-50 is whole in {root}: {size.clips} recordings of {size.classes} classes "
        f"in {size.folds} folds"
    )


def _problems(folder: Path, size: Esc50Size) -> list[str]:
    """What is wrong with the ESC-50 in ``folder``."""
    table = "meta/esc50.csv"
    if not (folder / table).is_file():
        return [f"{table} is missing"]
    try:
        rows = read_meta(folder)
    except DataError as error:  # says itself where
        return [str(error)]
    counts = {
        "recordings": (len({row["filename"] for row in rows}), size.clips),
        "classes": (len({row["category"] for row in rows}), size.classes),
        "folds": (len({row["fold"] for row in rows}), size.folds),
    }
    problems = [
        f"{table} lists {count} {what}, not {wanted}"
        for what, (count, wanted) in counts.items()
        if count != wanted
    ]
    return problems + recording_problems(
        folder / "audio",
        [row["filename"] for row in rows],
        f"{ESC50_SECONDS} s of mono audio at {ESC50_RATE} Hz",
        lambda info: (
            (info.channels, info.samplerate, info.frames)
            == (1, ESC50_RATE, ESC50_SECONDS * ESC50_RATE)
        ),
    )
