"""The serving benchmark's own parts: what it sends, how it counts, what it makes of it."""

from __future__ import annotations

import asyncio
import io
import math
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import soundfile

from benchmarks.serving import report
from benchmarks.serving.clips import LONGEST_S, SHORTEST_S, Request, requests
from benchmarks.serving.load import Sample, closed_loop, open_loop


def test_requests_repeat_under_a_seed_and_no_file_but_the_common_reference_comes_twice() -> None:
    sent = [*islice(requests(3, count=8), 200)]
    assert sent == [*islice(requests(3, count=8), 200)]
    assert sent != [*islice(requests(4, count=8), 200)]
    times = Counter(data for request in sent for _, data in request.files)
    (_, most), (_, next_most) = times.most_common(2)
    differences = [request for request in sent if request.path == "/difference"]
    assert 0.25 < len(differences) / len(sent) < 0.42
    assert 0.35 < most / len(differences) < 0.65
    assert next_most == 1


def test_a_serial_number_leaves_the_sound_as_it_is() -> None:
    sounds = {}
    for request in islice(requests(0, count=4), 60):
        samples, rate = soundfile.read(io.BytesIO(request.files[0][1]))
        assert SHORTEST_S - 0.01 <= len(samples) / rate <= LONGEST_S + 0.01
        assert np.abs(samples).max() > 0.01
        sounds[samples.tobytes()] = rate
    assert len(sounds) == 4
    assert {*sounds.values()} == {16_000, 44_100}


class Server:
    """Answers every request in the same way, and keeps the paths."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.paths: list[str] = []
        self.connections = 0
        self._serving: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*(task for task in self._serving if task))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length: ")[1].split("\r\n")[0])
                await reader.readexactly(length)
                writer.write(self.answers[len(self.paths) % len(self.answers)])
                self.paths.append(head.split(" ")[1])
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


GOOD = answer(200, b'{"caption": "a dog"}')
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"cap\r\nf\r\ntion": "a dog"}\r\n0\r\n\r\n'
)


def test_a_closed_loop_sends_all_requests_and_tells_answers_apart() -> None:
    server = Server([GOOD, CHUNKED, answer(429, b"{}"), answer(200, b'{"caption": ""}')])

    async def run() -> list[Sample]:
        stream = iter([Request("/caption", (("file", b"x"),))] * 40)
        async with server as port:
            return await closed_loop(port, stream, 5, math.inf)

    samples = asyncio.run(run())
    assert Counter(sample.status for sample in samples) == {200: 20, 429: 10, -1: 10}
    assert server.paths == ["/caption"] * 40
    assert server.connections == 5


def test_an_open_loop_sends_at_its_rate_whatever_is_answered() -> None:
    server = Server([GOOD])

    async def run() -> list[Sample]:
        stream = iter([Request("/caption", (("file", b"x"),))] * 1000)
        async with server as port:
            return await open_loop(port, stream, rate=400, seconds=0.5)

    samples = asyncio.run(run())
    rng = np.random.default_rng(0)
    due = np.cumsum(rng.exponential(1 / 400, 1000))
    assert sorted(sample.due for sample in samples) == pytest.approx([*due[due < 0.5]])
    assert {sample.status for sample in samples} == {200}


def test_a_connection_that_fails_is_a_failure() -> None:
    async def run() -> list[Sample]:
        async with Server([GOOD]) as port:
            pass  # the port is closed again
        return await closed_loop(port, iter([Request("/caption", ())] * 3), 1, math.inf)

    assert [sample.status for sample in asyncio.run(run())] == [0, 0, 0]


def test_a_summary_counts_answers_refusals_and_failures() -> None:
    samples = [Sample(i / 10, 0.1 + i / 1000, 200) for i in range(100)]
    samples += [Sample(5.0, 0.02, 429), Sample(5.0, 0.04, 503), Sample(5.0, 9.0, 0)]
    point = report.summarize(samples, resident_mb=7.0)
    assert point.refused == 2
    assert point.failed == 1
    assert point.per_s == pytest.approx(100 / 14)  # the last answer came 14 s after the start
    assert point.p50_ms == pytest.approx(149.5)
    assert point.refused_p95_ms == pytest.approx(39)


def test_figures_that_are_missed_are_said_to_be() -> None:
    def point(per_s: float, p50: float, p95: float, refused: int = 0) -> report.Point:
        return report.Point(per_s, p50, p95, p95, refused, 60.0, 0, 1.0)

    loads = ("1 client", "32 clients", *(f"{share}% of the ceiling" for share in (80, 120, 300)))
    points = {
        report.OURS: point(12, 50, 700, 3),
        report.IN_TORCH: point(9, 100, 9),
        "one": point(10, 100, 1000),
        "two": point(6, 9, 9e3),
    }
    results = {load: dict(points) for load in loads}
    results["32 clients"] |= {
        "one" + report.GENERATE: point(3, 100, 1000),
        report.FULL: point(0.5, 100, 1000),
    }
    lines = report.targets(results, ceiling_per_s=20, deadline_s=30)
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")][2:]
    assert {row[0]: (float(row[1]), row[3]) for row in rows} == {
        "throughput, 32 clients, over the best rival with our search": (1.2, "NO"),
        "throughput, 32 clients, over the best rival with `generate`": (4.0, "yes"),
        "throughput, 32 clients, over the full-size network": (24.0, "yes"),
        "throughput, 32 clients, over the ceiling": (0.6, "NO"),
        "p50, 1 client, over the same in torch": (0.5, "yes"),
        "p95 at 80% of the ceiling, over the best rival": (0.7, "NO"),
        "at 120%: p95 of accepted, seconds": (0.7, "yes"),
        "at 120%: p95 of refusals, ms": (60.0, "NO"),
        "at 300%: p95 of accepted, seconds": (0.7, "yes"),
        "at 300%: p95 of refusals, ms": (60.0, "NO"),
    }
    assert any("| audiodiff | 12.00 | 50 | 700 |" in line for line in report.tables(results))
