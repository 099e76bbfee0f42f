"""A service in a process of its own, and a test's handle on it."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from engine import recording
from tests.support.captioner import clip
from tests.support.client import WAIT_S, Client, eventually

ROOT = Path(__file__).resolve().parents[2]
Report = dict[str, Any]


@contextmanager
def listening(
    arguments: Sequence[str], **settings: object
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """``python -m`` a program that serves: the process, its address, and its standard error.

    The lines of the last grow while it runs. It is killed at the end.
    """
    environment = {f"AUDIODIFF_{name}".upper(): str(value) for name, value in settings.items()}
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
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
        if found := re.search(r"running on (http://[\d.:\[\]]+)", line):
            address = found[1]
            break
    assert address, "".join(log)
    rest = threading.Thread(target=lambda: log.extend(child.stderr or ()))
    rest.start()
    try:
        yield child, address, log
    finally:
        child.kill()
        child.wait(WAIT_S)
        rest.join(WAIT_S)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream:
                stream.close()


class Process(Client):
    """A process of ``tests.support.faulty``."""

    def __init__(self, child: subprocess.Popen[str], address: str, log: list[str]) -> None:
        super().__init__(address)
        self.child = child
        self.log = log
        """Its standard error, line by line."""
        self._orders = threading.Lock()
        self._unlike = itertools.count(1)

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
    """A process that serves a captioner of ``tests.support.faulty``, once it is ready."""
    with listening(["tests.support.faulty", kind], **settings) as (child, address, log):
        process = Process(child, address, log)
        with process.http:
            eventually(lambda: process.http.get("/readyz").status_code == 200)
            yield process


def decoders() -> list[psutil.Process]:
    """This process's children that decode long recordings; one that was not waited for counts."""
    return [one for one in psutil.Process().children(recursive=True) if _decodes(one)]


def _decodes(process: psutil.Process) -> bool:
    try:
        return recording.MODULE in process.cmdline()
    except psutil.ZombieProcess:  # it has ended, and its command line is not told any more
        return True
    except psutil.NoSuchProcess:
        return False
