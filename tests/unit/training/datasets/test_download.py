"""One file over HTTP, from servers that break off, do not resume, or send something else."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.file_server import FileServer, serving
from training.datasets.download import RETRIES, RemoteFile, download
from training.datasets.errors import DataError

BODY = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(BODY).hexdigest()
PATH = "/files/a.bin"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.files[PATH] = BODY
        yield server


@pytest.fixture
def remote(server: FileServer) -> RemoteFile:
    return RemoteFile("a.bin", server.url + PATH, len(BODY), MD5)


@pytest.fixture
def unsized(server: FileServer) -> RemoteFile:
    return RemoteFile("a.bin", server.url + PATH)


@pytest.fixture
def waits() -> list[float]:
    """The pauses, which no test makes."""
    return []


def test_a_file_is_fetched_and_given_its_name(
    server: FileServer, remote: RemoteFile, tmp_path: Path
) -> None:
    path = download(remote, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a.bin"
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]
    assert server.asked == [(PATH, None)]


def test_what_is_there_is_not_fetched_again(
    server: FileServer, remote: RemoteFile, tmp_path: Path
) -> None:
    assert download(remote, tmp_path) == download(remote, tmp_path)
    assert len(server.asked) == 1


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    server.redirects["/old"] = f"{server.url}{PATH}"
    path = download(RemoteFile("a.bin", f"{server.url}/old"), tmp_path)
    assert path.read_bytes() == BODY


def test_a_broken_connection_is_resumed(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.cuts = [1000]
    assert download(remote, tmp_path, waits.append).read_bytes() == BODY
    assert server.asked == [(PATH, None), (PATH, "bytes=1000-")]
    assert waits == [2.0]


def test_a_broken_run_is_resumed(server: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY[:5000])
    path = download(remote, tmp_path)
    assert path.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [path]
    assert server.asked == [(PATH, "bytes=5000-")]


def test_an_answer_without_length_that_ends_early_is_resumed(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.says_length = False
    server.cuts = [1000]
    assert download(remote, tmp_path, waits.append).read_bytes() == BODY
    assert server.asked == [(PATH, None), (PATH, "bytes=1000-")]


def test_a_part_that_is_complete_is_not_asked_for(
    server: FileServer, remote: RemoteFile, tmp_path: Path
) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert download(remote, tmp_path).read_bytes() == BODY
    assert server.asked == []


def test_a_server_that_cannot_resume_begins_anew(
    server: FileServer, remote: RemoteFile, tmp_path: Path
) -> None:
    server.resumes = False
    (tmp_path / "a.bin.part").write_bytes(BODY[:5000])
    assert download(remote, tmp_path).read_bytes() == BODY
    assert server.asked == [(PATH, "bytes=5000-")]


def test_another_range_than_asked_for_is_not_appended(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.shift = 7
    (tmp_path / "a.bin.part").write_bytes(BODY[:5000])
    assert download(remote, tmp_path, waits.append).read_bytes() == BODY
    assert server.asked == [(PATH, "bytes=5000-"), (PATH, None)]


def test_a_part_longer_than_the_file_is_thrown_away(
    server: FileServer, unsized: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    (tmp_path / "a.bin.part").write_bytes(BODY + b"more")
    assert download(unsized, tmp_path, waits.append).read_bytes() == BODY
    assert server.asked == [(PATH, f"bytes={len(BODY) + 4}-"), (PATH, None)]


def test_it_goes_on_for_as_long_as_more_comes(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.cuts = [1000] * (RETRIES + 3)
    assert download(remote, tmp_path, waits.append).read_bytes() == BODY
    assert waits == [2.0] * (RETRIES + 3)


def test_it_gives_up_when_nothing_more_comes(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.cuts = [1000] + [0] * (RETRIES + 10)
    with pytest.raises(DataError, match=r"a\.bin: .* after 1000 bytes .*run the command again"):
        download(remote, tmp_path, waits.append)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0]
    assert (tmp_path / "a.bin.part").read_bytes() == BODY[:1000]


def test_a_passing_refusal_is_tried_again(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.statuses = [429, 503]
    assert download(remote, tmp_path, waits.append).read_bytes() == BODY
    assert waits == [2.0, 4.0]


def test_a_lasting_refusal_is_not_tried_again(
    server: FileServer, remote: RemoteFile, tmp_path: Path, waits: list[float]
) -> None:
    server.files.clear()
    with pytest.raises(DataError, match=r"a\.bin: .*/files/a\.bin answers 404 Not Found: .*--from"):
        download(remote, tmp_path, waits.append)
    assert waits == []


def test_no_server_is_no_traceback(tmp_path: Path, waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DataError, match=rf"no luck with 127\.0\.0\.1:{port} after 0 bytes"):
        download(RemoteFile("a.bin", f"http://127.0.0.1:{port}/"), tmp_path, waits.append)


@pytest.mark.parametrize("sent", [BODY[:-1] + b"?", BODY + b"?"])
def test_what_is_not_as_published_is_deleted(
    server: FileServer, remote: RemoteFile, tmp_path: Path, sent: bytes
) -> None:
    server.files[PATH] = sent
    md5 = hashlib.md5(sent).hexdigest()
    problem = (
        f"md5 is {md5}, .* says {MD5}"
        if len(sent) == len(BODY)
        else f"it has {len(sent)} bytes, .* says {len(BODY)}"
    )
    with pytest.raises(DataError, match=rf"a\.bin: {problem}; it was deleted, run the command"):
        download(remote, tmp_path)
    assert list(tmp_path.iterdir()) == []
