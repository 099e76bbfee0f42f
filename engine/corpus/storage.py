"""Where files lie: local paths, and URLs of what fsspec knows; of S3 through pyarrow."""

from __future__ import annotations

import functools
import os

import fsspec
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow import fs

from model.errors import AudioTooLarge

MAX_BYTES = 512 << 20
"""Larger files are refused, so that memory is bounded."""
_CHUNK = 1 << 20


def locate(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system that holds it, and its name there.

    Raises ImportError: what the scheme needs is not installed; ValueError: it is unknown; OSError.
    """
    scheme, found, rest = path.partition("://")
    if not found:
        return _file_system("file"), str(os.path.abspath(path))  # noqa: PTH100
    if scheme == "s3":
        return _bucket(rest.partition("/")[0]), rest
    return _file_system(scheme), path


def read(path: str) -> bytes:
    """All of a file. Raises AudioTooLarge, and what its file system raises."""
    system, name = locate(path)
    data = bytearray()
    with system.open(name, "rb") as file:
        while chunk := file.read(_CHUNK):
            data += chunk
            if len(data) > MAX_BYTES:
                raise AudioTooLarge(
                    f"the file is larger than {MAX_BYTES >> 20} MiB; send its sound alone"
                )
    return bytes(data)


@functools.cache
def _file_system(scheme: str) -> fsspec.AbstractFileSystem:
    options: dict[str, dict[str, object]] = {
        "file": {"auto_mkdir": True},
        "http": {"block_size": 0},  # as it comes, not by ranges
        "https": {"block_size": 0},
    }
    return fsspec.filesystem(scheme, **options.get(scheme, {}))


@functools.cache
def _bucket(name: str) -> fsspec.AbstractFileSystem:
    """In the bucket's own region, with the credentials that AWS's tools find."""
    found, _ = fs.FileSystem.from_uri(f"s3://{name}")
    return ArrowFSWrapper(found)
