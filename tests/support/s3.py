"""As much of S3 as pyarrow speaks, on loopback: objects in memory, by bucket and key."""

from __future__ import annotations

import io
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.answering import answering


class Store(ThreadingHTTPServer):
    """``objects`` by path, as ``bucket/key``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # a client that was killed
            self.close_connection = True

    def do_HEAD(self) -> None:
        found = self.server.objects.get(self._name)
        if "/" not in self._name:
            self._answer(200)
        elif found is None:
            self._answer(404)
        else:
            self._answer(200, found)

    def do_GET(self) -> None:
        if "list-type" in self._query:
            return self._list()
        found = self.server.objects.get(self._name)
        if found is None:
            return self._answer(404)
        if asked := self.headers["Range"]:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            return self._answer(206, found[int(first) : int(last) + 1])
        return self._answer(200, found)

    def do_PUT(self) -> None:
        body = self._body()
        if source := self.headers["x-amz-copy-source"]:
            body = self.server.objects[unquote(source).lstrip("/")]
            self.server.objects[self._name] = body
            return self._answer(200, _xml("CopyObjectResult", ETag=_tag(body)))
        if "uploadId" in self._query:
            upload = self.server.uploads[self._query["uploadId"]]
            upload[int(self._query["partNumber"])] = body
        else:
            self.server.objects[self._name] = body
        return self._answer(200, ETag=_tag(body))

    def do_POST(self) -> None:
        body = self._body()
        if "uploads" in self._query:
            with self.server.lock:
                number = str(len(self.server.uploads))
                self.server.uploads[number] = {}
            return self._answer(200, _xml("InitiateMultipartUploadResult", UploadId=number))
        if "delete" in self._query:
            for key in ET.fromstring(body).iter("{*}Key"):
                self.server.objects.pop(f"{self._name}/{key.text}", None)
            return self._answer(200, _xml("DeleteResult"))
        parts = self.server.uploads[self._query["uploadId"]]
        whole = b"".join(parts[number] for number in sorted(parts))
        self.server.objects[self._name] = whole
        return self._answer(200, _xml("CompleteMultipartUploadResult", ETag=_tag(whole)))

    def do_DELETE(self) -> None:
        self.server.objects.pop(self._name, None)
        self._answer(204)

    def _list(self) -> None:
        """All at once; what shares a prefix up to the delimiter stands as that prefix."""
        prefix, delimiter = self._query.get("prefix", ""), self._query.get("delimiter")
        root = ET.Element("ListBucketResult")
        common = set()
        for name, data in sorted(self.server.objects.items()):
            bucket, _, key = name.partition("/")
            if bucket != self._name or not key.startswith(prefix):
                continue
            head, more, _ = key[len(prefix) :].partition(delimiter or "\0")
            if more:
                common.add(prefix + head + more)
                continue
            content = ET.SubElement(root, "Contents")
            ET.SubElement(content, "Key").text = key
            ET.SubElement(content, "Size").text = str(len(data))
            ET.SubElement(content, "LastModified").text = "2026-01-01T00:00:00.000Z"
        for each in sorted(common):
            ET.SubElement(ET.SubElement(root, "CommonPrefixes"), "Prefix").text = each
        ET.SubElement(root, "KeyCount").text = str(len(root))
        ET.SubElement(root, "IsTruncated").text = "false"
        self._answer(200, ET.tostring(root))

    @property
    def _name(self) -> str:
        return unquote(urlsplit(self.path).path)[1:]

    @property
    def _query(self) -> dict[str, str]:
        found = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in found.items()}

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] == "chunked":
            body = _unchunked(self.rfile)
        else:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if "x-amz-decoded-content-length" in self.headers:
            body = _unchunked(io.BytesIO(body))
        return body

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _unchunked(file: BinaryIO | io.BufferedIOBase) -> bytes:
    """Chunks, each with its size in front, up to the empty one and what trails it."""
    whole = b""
    while size := int(file.readline().partition(b";")[0], 16):
        whole += file.read(size)
        file.readline()
    while file.readline().strip():
        pass
    return whole


def _tag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, **fields: str) -> bytes:
    root = ET.Element(name)
    for key, value in fields.items():
        ET.SubElement(root, key).text = value
    return ET.tostring(root)


@contextmanager
def serving() -> Iterator[Store]:
    with answering(Store()) as server:
        yield server
