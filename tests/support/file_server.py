"""A server of files on loopback that can be told how to misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.answering import answering


class FileServer(ThreadingHTTPServer):
    """Answers GET with ``files``, by path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        """Path and Range header of every request."""
        self.redirects: dict[str, str] = {}
        self.statuses: list[int] = []
        """The next answers: these, without a body."""
        self.cuts: list[int] = []
        """After so many bytes of a body, the next answers break off."""
        self.resumes = True
        self.shift = 0
        """A partial answer starts so many bytes after what was asked for."""
        self.says_length = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append((self.path, asked))
        if self.server.statuses:
            return self._answer(self.server.statuses.pop(0))
        if self.path in self.server.redirects:
            return self._answer(302, Location=self.server.redirects[self.path])
        if self.path not in self.server.files:
            return self._answer(404)
        body = self.server.files[self.path]
        start = 0
        if asked and self.server.resumes:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                return self._answer(416)
            start += self.server.shift
        rest = body[start:]
        headers = {"Content-Length": str(len(rest))} if self.server.says_length else {}
        if asked and self.server.resumes:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if self.server.cuts:
            rest = rest[: self.server.cuts.pop(0)]
        return self._answer(206 if "Content-Range" in headers else 200, rest, **headers)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving() -> Iterator[FileServer]:
    with answering(FileServer()) as server:
        yield server
