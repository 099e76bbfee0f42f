"""YAMNet's weights: a file of an installed package, checked and copied."""

from __future__ import annotations

from pathlib import Path

from model.errors import CheckpointError
from model.published import yamnet
from training.datasets.checks import copy
from training.datasets.download import RemoteFile, verify
from training.datasets.errors import DataError

GRAPH = RemoteFile(
    name=yamnet.FILE,
    url="",  # it comes with a package, and is never downloaded by itself
    size=yamnet.SIZE,
    sha256=yamnet.SHA256,
)


def prepare(root: Path, source: Path | None = None, *, remote: RemoteFile = GRAPH) -> str:
    """Bring the zipped graph into ``root``.

    Args:
        root: folder to put the file into.
        source: the file; None takes that of the installed package.
        remote: what the file is.

    Returns:
        A sentence on what is there.

    Raises:
        DataError: if the package is not installed, or the file is not the published one.
    """
    target = root / remote.name
    if not target.exists():
        try:
            source = source or yamnet.installed()
        except CheckpointError as error:
            raise DataError(str(error)) from error
        verify(remote, source)
        copy(source, root)
    verify(remote, target)
    return f"YAMNet's weights are whole: {target}"
