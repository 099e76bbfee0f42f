"""One file over HTTP: resumed where it broke off, and not called by its name until it is whole."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Never
from urllib.parse import urlsplit

import httpx
from tqdm import tqdm

from training.datasets.errors import DataError

RETRIES = 5
"""In a row, without a byte more: 2, 4, ... 32 s apart, which outlasts a limit per minute."""
SILENCE_SECONDS = 60.0
"""A connection that says nothing for so long is broken."""


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, and what its publisher says of it."""

    name: str
    """What to call it here."""
    url: str
    size: int | None = None
    """Bytes."""
    md5: str | None = None
    sha256: str | None = None


def download(remote: RemoteFile, folder: Path, sleep: Callable[[float], None] = time.sleep) -> Path:
    """``folder/NAME``, fetched unless it is there; ``NAME.part`` is what a broken run leaves.

    Raises:
        DataError: if the server refuses, the connection keeps breaking, or what came is not what
            its publisher says.
    """
    target = folder / remote.name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{remote.name}.part"
    _fetch(remote, part, sleep)
    try:
        verify(remote, part)
    except DataError as error:
        part.unlink()
        raise DataError(f"{error}; it was deleted, run the command again") from error
    return part.replace(target)


def _fetch(remote: RemoteFile, part: Path, sleep: Callable[[float], None]) -> None:
    failures = 0
    # Compressed on the way, the bytes could be neither counted nor resumed.
    plain = {"Accept-Encoding": "identity"}
    with (
        httpx.Client(follow_redirects=True, timeout=SILENCE_SECONDS, headers=plain) as client,
        tqdm(
            desc=remote.name,
            total=remote.size,
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None,
        ) as bar,
    ):
        while not part.is_file() or remote.size is None or _size(part) < remote.size:
            had = _size(part)
            try:
                _append(client, remote, part, bar)
                return
            except httpx.HTTPError as error:
                if isinstance(error, httpx.HTTPStatusError) and not _passing(error.response):
                    raise DataError(
                        f"{remote.name}: {error.response.url} answers "
                        f"{error.response.status_code} {error.response.reason_phrase}: get the "
                        "data set by hand and give it with --from"
                    ) from error
                failures = 1 if _size(part) > had else failures + 1
                if failures > RETRIES:
                    raise DataError(
                        f"{remote.name}: no luck with {urlsplit(remote.url).netloc} after "
                        f"{_size(part)} bytes ({error}): run the command again to go on from "
                        "there, or get the data set by hand and give it with --from"
                    ) from error
                sleep(2.0**failures)


def _append(client: httpx.Client, remote: RemoteFile, part: Path, bar: tqdm[Never]) -> None:
    """Ask for what ``part`` lacks. Raises httpx.HTTPError where it does not come to the end."""
    had = _size(part)
    ask = {"Range": f"bytes={had}-"} if had else {}
    with client.stream("GET", remote.url, headers=ask) as response:
        resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
        starts = response.headers.get("Content-Range", "").startswith(f"bytes {had}-")
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or (
            resumed and not starts
        ):
            part.unlink(missing_ok=True)  # not the beginning of what the server has
            raise httpx.RemoteProtocolError("the server has other bytes than before")
        response.raise_for_status()
        bar.n = had if resumed else 0
        bar.refresh()
        # A server that cannot resume answers 200 and begins anew.
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                bar.update(len(chunk))
    if remote.size is not None and _size(part) < remote.size:
        raise httpx.RemoteProtocolError("the server ended early")


def verify(remote: RemoteFile, file: Path) -> None:
    """Raises DataError if ``file`` is missing or not what its publisher says."""
    if not file.is_file():
        raise DataError(f"{file} is missing")
    says = f"{urlsplit(remote.url).netloc} says"
    if remote.size not in (None, _size(file)):
        raise DataError(f"{remote.name}: it has {_size(file)} bytes, {says} {remote.size}")
    for name in ("md5", "sha256"):
        if (wanted := getattr(remote, name)) is not None:
            make = partial(hashlib.new, name, usedforsecurity=False)
            with file.open("rb") as content:
                found = hashlib.file_digest(content, make).hexdigest()
            if found != wanted:
                raise DataError(f"{remote.name}: {name} is {found}, {says} {wanted}")


def _passing(response: httpx.Response) -> bool:
    """Whether the same request may well succeed later."""
    return response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
