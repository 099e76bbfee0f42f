"""Starting and stopping what is measured."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from benchmarks.serving import report
from benchmarks.serving.clips import Request
from benchmarks.serving.load import Connection
from benchmarks.serving.report import FULL, GENERATE, IN_TORCH
from benchmarks.serving.servers.shared import NETWORK, SEARCH

ROOT = Path(__file__).resolve().parents[2]
RIVALS = ROOT / "build" / "rivals"
START_S = 120.0
_HERE, _THERE = sys.executable, str(RIVALS / "bin" / "python")
_SERVERS = "benchmarks.serving.servers"


MANY = "32 clients"


@dataclass(frozen=True)
class System:
    """A server, and how it is started: ``PORT`` stands for its port."""

    name: str
    command: tuple[str, ...]
    package: str | None = None
    """Whose version the report names; None is this one."""
    path: str | None = None
    """Where it takes both kinds of request, if it is not each route's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    loads: tuple[str, ...] | None = None
    """Those it is put under; None is all but those that only ours can stand."""


OURS = System(report.OURS, (_HERE, "-m", "cli", "serve", "--port=PORT", "--log-level=warning"))
_RIVALS = (
    System("fastapi", (_HERE, "-m", f"{_SERVERS}.fastapi_def", "PORT"), "fastapi"),
    System("litserve", (_THERE, "-m", f"{_SERVERS}.litserve_app", "PORT"), "litserve", "/caption"),
    System(
        "mosec",
        (_THERE, "-m", f"{_SERVERS}.mosec_app", "--port=PORT", "--timeout=120000"),
        "mosec",
        "/inference",
    ),
    System(
        "bentoml",
        (_THERE, "-m", "bentoml", "serve", f"{_SERVERS}.bentoml_app:Api", "--port=PORT"),
        "bentoml",
    ),
    System("ray", (_THERE, "-m", f"{_SERVERS}.ray_app", "PORT"), "ray"),
)
SYSTEMS = (
    OURS,
    replace(OURS, name=IN_TORCH, env={"AUDIODIFF_RUNTIME": "torch"}),
    *_RIVALS,
    *(
        replace(rival, name=rival.name + GENERATE, env={SEARCH: "generate"}, loads=(MANY,))
        for rival in _RIVALS
    ),
    replace(_RIVALS[1], name=FULL, env={SEARCH: "generate", NETWORK: "full"}, loads=(MANY,)),
)


class Running:
    """A started server."""

    def __init__(self, system: System, process: subprocess.Popen[bytes], port: int) -> None:
        self.system = system
        self.port = port
        self._process = psutil.Process(process.pid)

    def requests(self, stream: Iterator[Request]) -> Iterator[Request]:
        """The requests as this system takes them."""
        for request in stream:
            yield Request(self.system.path or request.path, request.files)

    @property
    def resident_mb(self) -> float:
        """Resident memory of the server and all its children, in MiB."""
        tree = [self._process, *self.children()]
        return sum(process.memory_info().rss for process in tree) / 2**20

    def children(self) -> list[psutil.Process]:
        """All processes beneath the server's."""
        found: list[psutil.Process] = self._process.children(recursive=True)
        return found


@contextmanager
def running(system: System, log: Path, probe: Request) -> Iterator[Running]:
    """Started, and stopped at the end; ``log`` takes what it prints.

    Ready is what answers ``probe``. Raises RuntimeError if that never happens.
    """
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in system.command]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | system.env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    server = Running(system, process, port)
    try:
        end = time.monotonic() + START_S
        request = Request(system.path or probe.path, probe.files)
        while asyncio.run(_once(port, request)) != 200:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{system.name} does not answer; see {log}")
            time.sleep(0.5)
        yield server
    finally:
        children = server.children()  # some start sessions of their own
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()


async def _once(port: int, request: Request) -> int:
    connection = Connection(port)
    try:
        return await connection.send(request)
    finally:
        connection.close()


def free_port() -> int:
    """One that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
