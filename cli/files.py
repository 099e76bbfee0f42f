"""Arguments to files: folders are searched, patterns expanded, ``-`` is the standard input."""

from __future__ import annotations

import glob
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from model.errors import AudioTooLarge, UnsupportedFormat

STDIN = "-"
MAX_BYTES = 512 << 20
"""Larger files are refused, so that memory is bounded; a minute of video is smaller."""
EXTENSIONS = frozenset(
    (".3g2", ".3ga", ".3gp", ".3gpp", ".aac", ".adts", ".aif", ".aifc", ".aiff", ".amr", ".asf",
     ".awb", ".bwf", ".caf", ".f4a", ".flac", ".m4a", ".m4b", ".m4r", ".m4v", ".mka", ".mkv",
     ".mov", ".mp1", ".mp2", ".mp3", ".mp4", ".mpa", ".mpga", ".oga", ".ogg", ".opus", ".qt",
     ".rf64", ".wav", ".wave", ".weba", ".webm", ".wma", ".wmv")
)  # fmt: skip
"""What is taken for audio where a folder is searched; a file that is named may have any name."""

_TOLD = 20
"""Files that were passed over and are named."""


@dataclass
class Found:
    """What arguments mean."""

    files: list[str] = field(default_factory=list)
    """In the order of the arguments, sorted within one of them."""
    passed_over: list[str] = field(default_factory=list)
    """Files of searched folders that are not taken for audio; hidden ones are not told of."""

    @property
    def remark(self) -> str | None:
        """Which files were passed over, and why; None if none was."""
        if not self.passed_over:
            return None
        names, rest = ", ".join(self.passed_over[:_TOLD]), len(self.passed_over) - _TOLD
        return (
            f"passed over, because their names are not those of audio files: {names}"
            f"{f' and {rest} more' if rest > 0 else ''}; name a file to have it heard"
        )


def find(arguments: Iterable[str]) -> Found:
    """The files that are meant.

    What is not there, or holds no audio, stays among them as it is: ``open_clip`` says so.
    """
    found = Found()
    for argument in arguments:
        for path in _expand(argument):
            if Path(path).is_dir():
                _search(path, found)
            else:
                found.files.append(path)
    return found


def passing(path: str) -> bool:
    """Whether it can be read but once: the standard input, a pipe, a device."""
    if path == STDIN:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read(path: str) -> bytes:
    """The contents, up to the bound and a byte. Raises OSError, and UnsupportedFormat."""
    with sys.stdin.buffer if path == STDIN else _open(path) as file:
        return file.read(MAX_BYTES + 1)


def open_clip(path: str, held: Mapping[str, bytes]) -> BinaryIO:
    """A file opened for reading; ``held`` are contents read before, by path.

    Raises OSError, UnsupportedFormat for a folder without audio, AudioTooLarge.
    """
    file = io.BytesIO(held[path]) if path in held else _open(path)
    size = file.seek(0, io.SEEK_END)
    if size > MAX_BYTES:
        file.close()
        raise AudioTooLarge(f"the file is larger than {MAX_BYTES >> 20} MiB; send its sound alone")
    file.seek(0)
    return file


def open_recording(path: str) -> BinaryIO:
    """A file of any size, on a disk; what can be read but once is copied to one.

    Raises OSError, and UnsupportedFormat for a folder without audio.
    """
    if not passing(path):
        return _open(path)
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    with sys.stdin.buffer if path == STDIN else _open(path) as file:
        shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy


def _expand(argument: str) -> list[str]:
    if argument == STDIN or os.path.lexists(argument) or not glob.has_magic(argument):
        return [argument]
    # Path.glob takes no absolute pattern, and finds hidden files.
    return sorted(glob.glob(argument, recursive=True)) or [argument]  # noqa: PTH207


def _search(folder: str, found: Found) -> None:
    """Add the audio files below a folder, hidden ones left out; itself if there is none.

    A folder below that may not be searched stands for what is in it.
    """
    audio: list[str] = []
    denied: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=denied.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            known = Path(name).suffix.lower() in EXTENSIONS
            (audio if known else found.passed_over).append(str(Path(parent, name)))
    found.files += [*audio, *(str(error.filename) for error in denied)] or [folder]


def _open(path: str) -> BinaryIO:
    if Path(path).is_dir():
        os.scandir(path).close()  # says so if it may not be searched
        raise UnsupportedFormat("there is no audio file in this folder; name one")
    return Path(path).open("rb")
