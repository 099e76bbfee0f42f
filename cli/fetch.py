"""Weights that a checkpoint lacks, from where they are published into its directory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from safetensors.torch import save_file
from tqdm import tqdm

from model.checkpoint import read_fetched
from model.config import FetchedConfig
from model.errors import AudiodiffError, CheckpointError
from model.published import efficientat

TIMEOUT_S = 60
"""How long the server may be silent."""


def fetch(directory: Path, source: Path | None) -> Path:
    """Get what the checkpoint in ``directory`` lacks, from ``source`` or its URL; where it lies.

    Nothing is read before its size and digest are those that ``config.json`` gives, and the file
    appears under its name whole or not at all.

    Raises:
        CheckpointError: the checkpoint lacks nothing, or the file is not the published one.
        AudiodiffError: it cannot be downloaded.
        OSError: ``source`` cannot be read or ``directory`` not be written to.
    """
    wanted = read_fetched(directory)
    if wanted is None:
        raise CheckpointError(f"{directory} is whole: there is nothing to fetch")
    data = _download(wanted) if source is None else source.read_bytes()
    _check(data, wanted, wanted.url if source is None else str(source))
    with TemporaryDirectory(prefix=".fetch-", dir=directory) as folder:  # on the same disk
        published, ready = Path(folder, "published"), Path(folder, "ready")
        published.write_bytes(data)
        save_file(efficientat.read(published), ready, metadata={"format": "pt"})
        return ready.replace(directory / wanted.file)


def _download(wanted: FetchedConfig) -> bytes:
    """At most a byte more than there should be."""
    data = bytearray()
    try:
        with (
            httpx.stream("GET", wanted.url, follow_redirects=True, timeout=TIMEOUT_S) as response,
            tqdm(desc=wanted.source, total=wanted.size, unit="B", unit_scale=True) as bar,
        ):
            response.raise_for_status()
            for chunk in response.iter_bytes():
                data += chunk
                bar.update(len(chunk))
                if len(data) > wanted.size:
                    break
    except httpx.HTTPError as error:
        raise AudiodiffError(
            f"{wanted.url} cannot be fetched ({error}): try again, or get it by other means and "
            "give it with --from"
        ) from error
    return bytes(data)


def _check(data: bytes, wanted: FetchedConfig, origin: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if len(data) != wanted.size:
        problem = f"it has {len(data)} bytes, not {wanted.size}"
        if len(data) > wanted.size:
            problem = f"it has more than {wanted.size} bytes"
    elif digest != wanted.sha256:
        problem = f"its SHA-256 is {digest}, not {wanted.sha256}"
    else:
        return
    raise CheckpointError(f"{origin} is not what {wanted.source} published: {problem}")
