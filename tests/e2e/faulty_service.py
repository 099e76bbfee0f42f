"""A service that fails, waits and counts as it is told, in a process of its own.

Run as a program it serves; ``serving`` starts it so, and ``Process`` is a test's handle on it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit" / "service")]

import httpx  # noqa: E402
import psutil  # noqa: E402
from fake_pipeline import FakePipeline, clip  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402

from model.audio import decoding as audio  # noqa: E402
from model.audio.readers import Block  # noqa: E402
from model.types import Description, Encoded, GenerationOptions, Waveform  # noqa: E402
from service.app import serve  # noqa: E402
from service.settings import Settings  # noqa: E402

WAIT_S = 60
Report = dict[str, Any]

# -- the program ------------------------------------------------------------------------------


class Faulty(FakePipeline):
    """Told to, raises at every third call of a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = "nothing"
        self.failures = 0
        self.decoded_samples = 0
        self._calls = itertools.count(1)

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        encoded = super().encode(clips)
        self._pass("encode")
        return encoded

    def describe(
        self, pairs: Sequence[tuple[Encoded, Encoded | None]], options: GenerationOptions
    ) -> list[Description]:
        self._pass("describe")
        return super().describe(pairs, options)

    def _pass(self, stage: str) -> None:
        if stage == self.fails and next(self._calls) % 3 == 0:
            self.failures += 1
            raise RuntimeError("a fault that passes")

    def report(self) -> Report:
        """What was done so far."""
        return {
            "prepared": self.prepared,
            "encoded": self.encoded,
            "failures": self.failures,
            "decoded_samples": self.decoded_samples,
        }

    def obey(self) -> None:
        """Each line of the standard input is an order, each of the output a report."""
        for order in sys.stdin:
            report = self.report()
            match order.split():
                case ["shut"]:
                    self.gate.clear()
                case ["open"]:
                    self.gate.set()
                case ["fail", stage]:
                    self.fails, self._calls = stage, itertools.count(1)
                case ["weigh"]:
                    report |= held()
            print(json.dumps(report), flush=True)


def held() -> Report:
    """What this process holds; memory in bytes."""
    gc.collect()
    process = psutil.Process()
    # isinstance would ask each object for its class, and some warn when they are asked.
    tasks = [it for it in gc.get_objects() if issubclass(type(it), asyncio.Task) and not it.done()]
    return {
        "tasks": len(tasks),
        "threads": process.num_threads(),
        "fds": process.num_fds(),
        "rss": process.memory_info().rss,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


class Decoding(Faulty):
    """Decodes with the real decoders, counting samples (of all channels), and models nothing."""

    sample_rate = 16_000

    def __init__(self) -> None:
        super().__init__()
        for name in ("read_with_libsndfile", "read_with_ffmpeg"):
            setattr(audio, name, self._counted(getattr(audio, name)))

    def _counted(
        self, read: Callable[..., Generator[Block]]
    ) -> Callable[..., Generator[Block, None, None]]:
        def reader(*arguments: object) -> Generator[Block]:
            for rate, block in read(*arguments):
                self.decoded_samples += block.size
                yield rate, block

        return reader

    def prepare(self, data: bytes, limits: audio.DecodeLimits) -> Waveform:
        return audio.decode(data, self.sample_rate, limits)


# -- its handle -------------------------------------------------------------------------------


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells of."""
    end = time.monotonic() + WAIT_S
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


class Process:
    """A server process; closed by ``serving``."""

    def __init__(self, child: subprocess.Popen[str], address: str, log: list[str]) -> None:
        self.child = child
        self.log = log
        """Its standard error, line by line."""
        self._orders = threading.Lock()
        self._unlike = itertools.count(1)
        self._port = int(address.rpartition(":")[2])
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
        self.http = httpx.Client(base_url=address, timeout=WAIT_S, limits=limits)

    def tell(self, order: str = "report") -> Report:
        """Get a report, after an order.

        ``shut`` or ``open`` the gate of encode, ``fail`` in encode, describe or nothing, and
        ``weigh``, which adds to the report what the process holds.
        """
        with self._orders:
            assert self.child.stdin
            assert self.child.stdout
            self.child.stdin.write(f"{order}\n")
            self.child.stdin.flush()
            report: Report = json.loads(self.child.stdout.readline())
            return report

    def caption(self, file: bytes, **options: Any) -> httpx.Response:
        """POST /caption."""
        return self.http.post("/caption", files={"file": ("a", file)}, data=options)

    def difference(self, one: bytes, other: bytes, **options: Any) -> httpx.Response:
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

    def send(self, body: bytes, length: int | None = None) -> socket.socket:
        """A connection on which a POST /caption was sent, or the start of one of ``length``."""
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=WAIT_S)
        head = (
            "POST /caption HTTP/1.1\r\nhost: x\r\n"
            "content-type: multipart/form-data; boundary=xx\r\n"
            f"content-length: {len(body) if length is None else length}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        return connection

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """The model thread is stopped in a batch of one while the block runs."""
        before = len(self.tell("shut")["encoded"])
        file = clip(0) + b" " * next(self._unlike)  # the cache must not know it
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.caption, file)
            try:
                eventually(lambda: len(self.tell()["encoded"]) > before)
                yield
            finally:
                self.tell("open")
            assert answer.result().json()["caption"] == "sound 0"


@contextmanager
def serving(kind: str = "Faulty", **settings: object) -> Iterator[Process]:
    """A process that serves a ``Faulty`` or a ``Decoding`` pipeline."""
    environment = {f"AUDIODIFF_{name}".upper(): str(value) for name, value in settings.items()}
    child = subprocess.Popen(
        [sys.executable, __file__, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "AUDIODIFF_PORT": "0", "AUDIODIFF_DECODE_WORKERS": "2", **environment},
    )
    assert child.stderr
    log: list[str] = []
    address = None
    for line in child.stderr:
        log.append(line)
        if found := re.search(r"running on (http://[\d.:]+)", line):
            address = found[1]
            break
    assert address, "".join(log)
    rest = threading.Thread(target=lambda: log.extend(child.stderr or ()))
    rest.start()
    process = Process(child, address, log)
    try:
        with process.http:
            eventually(lambda: process.http.get("/readyz").status_code == 200)
            yield process
    finally:
        child.kill()
        child.wait(WAIT_S)
        rest.join(WAIT_S)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()


def assert_problem(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """It is a problem document with exactly the contract's fields."""
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["detail"]
    if response.status_code in (429, 503):
        assert re.fullmatch("[1-9][0-9]*", response.headers["retry-after"])
    return problem


def in_parallel(
    threads: int, calls: Sequence[Callable[[], httpx.Response]]
) -> list[httpx.Response]:
    """The answers to calls of so many threads, in the order of the calls."""
    with ThreadPoolExecutor(threads) as pool:
        futures: list[Future[httpx.Response]] = [pool.submit(call) for call in calls]
        return [future.result() for future in futures]


if __name__ == "__main__":
    pipeline = {"Faulty": Faulty, "Decoding": Decoding}[sys.argv[1]]()
    threading.Thread(target=pipeline.obey, daemon=True).start()
    sys.exit(serve(Settings(), pipeline))
