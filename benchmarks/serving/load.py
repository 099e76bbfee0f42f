"""A load generator that is cheap enough to share a machine with what it measures."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.serving.clips import Request

PATIENCE_S = 120.0


@dataclass(frozen=True)
class Sample:
    """One request's fate; seconds."""

    due: float
    """When it should have been sent, since the load began."""
    latency: float
    """From then to the last byte of the answer."""
    status: int
    """0: the connection failed. 200 without a caption counts as -1."""


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> int:
        """The answer's status, as ``Sample`` has it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(request.raw)
                await writer.drain()
                status, body, keep = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            self.close()
            return 0
        if not keep:
            self.close()
        if status == 200 and not json.loads(body).get("caption"):
            return -1
        return status

    def close(self) -> None:
        """Let go of the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split(" ", 2)[1])
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip() or b"0", 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return status, body, fields.get("connection") != "close"


async def closed_loop(
    port: int, requests: Iterator[Request], clients: int, seconds: float
) -> list[Sample]:
    """So many clients, each sending its next request when the last is answered.

    Ends after ``seconds``, or when there are no more requests.
    """
    began = time.perf_counter()
    samples: list[Sample] = []

    async def client() -> None:
        connection = Connection(port)
        while (due := time.perf_counter() - began) < seconds:
            if (request := next(requests, None)) is None:
                break
            status = await connection.send(request)
            samples.append(Sample(due, time.perf_counter() - began - due, status))
        connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return samples


async def open_loop(
    port: int, requests: Iterator[Request], rate: float, seconds: float, seed: int = 0
) -> list[Sample]:
    """Requests at random moments, ``rate`` a second, whether or not earlier ones are answered.

    Latency counts from when a request was due: a generator that falls behind hides nothing.
    """
    rng = np.random.default_rng(seed)
    began = time.perf_counter()
    samples: list[Sample] = []
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = idle.pop() if idle else Connection(port)
        status = await connection.send(next(requests))
        samples.append(Sample(due, time.perf_counter() - began - due, status))
        idle.append(connection)

    due = 0.0
    while (due := due + float(rng.exponential(1 / rate))) < seconds:
        await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.close()
    return samples
