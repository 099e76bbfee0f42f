"""How tests talk to a service."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

WAIT_S = 60


def eventually(condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Wait for something that no event tells of."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def multipart(**files: bytes) -> bytes:
    """A body of files, with the boundary xx."""
    parts = [
        b'--xx\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
        % (name.encode(), data)
        for name, data in files.items()
    ]
    return b"".join(parts) + b"--xx--\r\n"


def fresh_connections(address: str) -> httpx.Client:
    """A client for many threads, each of whose requests has a connection of its own.

    None is ever idle: a pool closes idle ones, also one that it has just given to a thread, and
    gives out those that the server is about to close.
    """
    return httpx.Client(
        base_url=address,
        timeout=WAIT_S,
        limits=httpx.Limits(max_connections=None),
        headers={"connection": "close"},
    )


class Client:
    """Asks the service at an address; closed by whoever made it, with ``http``."""

    def __init__(self, address: str) -> None:
        self.http = fresh_connections(address)
        self._port = int(address.rpartition(":")[2])

    def caption(
        self, file: bytes, headers: dict[str, Any] | None = None, **options: object
    ) -> httpx.Response:
        """POST /caption."""
        return self.http.post(
            "/caption", files={"file": ("a", file)}, data=options, headers=headers
        )

    def difference(self, one: bytes, other: bytes, **options: object) -> httpx.Response:
        """POST /difference."""
        files = {"input": ("a", one), "reference": ("b", other)}
        return self.http.post("/difference", files=files, data=options)

    def metrics(self) -> Callable[..., float]:
        """One scrape: a function of a metric's name and labels to the sum of its samples."""
        families = [*text_string_to_metric_families(self.http.get("/metrics").text)]

        def value(name: str, **labels: str) -> float:
            return sum(
                sample.value
                for family in families
                for sample in family.samples
                if sample.name == f"audiodiff_{name}" and labels.items() <= sample.labels.items()
            )

        return value

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        return self.metrics()(name, **labels)

    def send(
        self,
        body: bytes = b"",
        length: int | None = None,
        chunked: bool = False,
        path: str = "/caption",
    ) -> socket.socket:
        """A connection on which a POST was sent, or the start of one of ``length``."""
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=WAIT_S)
        length = len(body) if length is None else length
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {length}"
        head = (
            f"POST {path} HTTP/1.1\r\nhost: x\r\n"
            f"content-type: multipart/form-data; boundary=xx\r\n{framing}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection


def assert_problem(response: httpx.Response, *statuses: int, says: str = "") -> dict[str, Any]:
    """It is a problem document with exactly the contract's fields."""
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["detail"]
    assert says in problem["detail"]
    if response.status_code in (429, 503):
        assert re.fullmatch("[1-9][0-9]*", response.headers["retry-after"])
    return problem


def in_parallel(
    threads: int, calls: Sequence[Callable[[], httpx.Response]]
) -> list[httpx.Response]:
    """The answers to calls of so many threads, in the order of the calls."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.result() for future in futures]
