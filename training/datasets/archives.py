"""ZIP and 7z archives and folders, brought to a place of their own to be looked at first."""

from __future__ import annotations

import errno
import io
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

import py7zr
from py7zr.exceptions import ArchiveError, PasswordRequired
from tqdm import tqdm

from training.datasets.errors import DataError

BROKEN = (
    ArchiveError,
    EOFError,
    PasswordRequired,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Whatever the two libraries raise of archives with random bytes in them."""


@contextmanager
def staged(source: Path, parts: Sequence[str], folder: Path) -> Iterator[Path]:
    """``folder`` with what the archive ``source`` holds, or with those ``parts`` of a folder.

    Nothing is left of it afterwards but what was moved elsewhere.

    Raises:
        DataError: if the archive is broken or not safe to unpack.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run left
    folder.mkdir(parents=True)
    try:
        if source.is_dir():
            for part in parts:
                _copy(source / part, folder / part)
        else:
            unpack(source, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.7z``, else a ZIP file, into ``folder``; every checksum in it is compared.

    Raises:
        DataError: if it is broken, or holds links or paths that lead out of ``folder``. What was
            unpacked until then is still there.
    """
    try:
        with _Watched(archive) as file:
            if archive.suffix == ".7z":
                _unpack_7z(file, folder)
            else:
                _unpack_zip(file, folder)
    except (OSError, *BROKEN) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise  # the disk's; EINVAL is a seek to before the beginning
        raise DataError(f"the archive is broken ({type(error).__name__}: {error})") from error


def _unpack_7z(file: _Watched, folder: Path) -> None:
    with py7zr.SevenZipFile(file) as archive:
        entries = archive.list()
        _refuse_escapes(entry.filename for entry in entries)
        if links := [e.filename for e in entries if not (e.is_file or e.is_directory)]:
            raise DataError(f"the archive holds links, which no data set needs: {links[0]}")
        archive.extractall(folder)


def _unpack_zip(file: _Watched, folder: Path) -> None:
    with zipfile.ZipFile(file) as archive:  # writes links as plain files
        _refuse_escapes(archive.namelist())
        archive.extractall(folder)


def _refuse_escapes(names: Iterable[str]) -> None:
    for name in names:
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            if path.anchor or ".." in path.parts:
                raise DataError(f"the archive would write outside of its folder: {name}")


def _copy(source: Path, target: Path) -> None:
    """A file, or the files of a folder, without their modes: read-only ones could not be moved."""
    if source.is_dir():
        target.mkdir()
        files = [path for path in source.iterdir() if path.is_file()]
        for path in tqdm(files, desc=f"copying {source}", leave=False, disable=None):
            shutil.copyfile(path, target / path.name)
    elif source.exists():
        shutil.copyfile(source, target)


class _Watched(io.BufferedReader):
    """A file that shows how much of it has been read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.open("rb", buffering=0))
        self.bar = tqdm(
            desc=f"unpacking {path.name}",
            total=path.stat().st_size,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
        )

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bar.update(len(data))
        return data

    def close(self) -> None:
        self.bar.close()
        super().close()
