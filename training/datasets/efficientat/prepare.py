"""EfficientAT's mn04_as: one file of a release on GitHub."""

from __future__ import annotations

import shutil
from pathlib import Path

from model.published import efficientat
from training.datasets.checks import DOWNLOADS, copy
from training.datasets.download import RemoteFile, download, verify

MN04 = RemoteFile(
    name=efficientat.FILE,
    url=efficientat.FETCHED.url,
    size=efficientat.FETCHED.size,
    sha256=efficientat.FETCHED.sha256,
)


def prepare(root: Path, source: Path | None = None, *, remote: RemoteFile = MN04) -> str:
    """Bring the weights into ``root``.

    Args:
        root: folder to put the file into.
        source: the file, or the folder that it is in; None downloads it.
        remote: what the file is.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if it cannot be fetched, or is not the published file.
    """
    target = root / remote.name
    if not target.exists():
        if source and source.is_dir():
            source = source / remote.name
        if source:
            verify(remote, source)
        copy(source or download(remote, root / DOWNLOADS), root)
        shutil.rmtree(root / DOWNLOADS, ignore_errors=True)
    verify(remote, target)
    return f"EfficientAT's weights are whole: {target}"
