"""Processes that decode: what a decoding library does to one of them, it does to nobody else.

A library that loops, crashes or eats memory costs the file that made it do so its answer. Each
process takes one file at a time, under limits of time and memory that the kernel keeps, and when
it ends another one takes its place.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.decoder import READY
from engine.errors import Closed
from model import errors
from model.audio import DecodeLimits
from model.errors import CorruptAudio
from model.types import SourceInfo, Waveform

MODULE = "engine.decoder"
"""What the processes run."""

START_S = 60.0
"""A process that is not up by then is given up."""
END_S = 5.0
"""A process that was killed is waited for so long: on starved cores even that takes seconds."""
RETRY_S = 2.0
"""Between two tries to start one."""
WALL = 3.0
"""A process may take so many times the processor time that it is granted."""

_log = logging.getLogger(__name__)


class Decoders:
    """``count`` processes. ``decode`` may be called from any thread; it waits for a free one."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[_Process] = set()
        self._failing = 0
        """Places whose process could not be started, the last time it was tried."""

    def start(self) -> None:
        """Start the processes, without waiting for them."""
        for _ in range(self._count):
            self._add()

    def close(self) -> None:
        """End all processes; whoever waits for one gets Closed."""
        with self._lock:
            self._closed.set()
            processes = [*self._processes]
        for process in processes:  # whoever waits for one lets go of it
            process.end()
        with suppress(queue.Empty):
            while (free := self._free.get_nowait()) is not None:
                free.close()
        for _ in range(self._count):
            self._free.put(None)

    @property
    def ready(self) -> int:
        """Processes that are up and not stuck."""
        with self._lock:
            return sum(process.up and not process.overdue for process in self._processes)

    @property
    def broken(self) -> bool:
        """Whether every process is stuck, though it was killed, or could not be started."""
        with self._lock:
            stuck = sum(process.overdue for process in self._processes)
            return stuck + self._failing >= self._count

    def decode(self, data: bytes, sample_rate: int, limits: DecodeLimits) -> Waveform:
        """As ``model.audio.decode``, in a process of its own.

        Raises:
            AudioError: that of ``decode``; CorruptAudio if the process ended, by itself or because
                it took longer than ``limits`` allow.
            Closed: the processes were ended meanwhile.
        """
        process = self._take()
        try:
            waveform = process.decode(data, sample_rate, limits)
        except (EOFError, OSError) as error:
            how = self._lose(process)
            if self._closed.is_set():
                raise Closed("the service is shutting down") from error
            _log.warning("a decoder ended (%s); another one is started", how)
            self._add()
            raise CorruptAudio(
                "The file cannot be decoded: its decoder crashed, or took too much time or memory. "
                "Export the file again, as WAV or FLAC."
            ) from error
        except BaseException:
            self._give(process)
            raise
        self._give(process)
        return waveform

    def _take(self) -> _Process:
        """Wait for one that is up; those that have ended meanwhile, by no file's fault, are not."""
        while (process := self._free.get()) is not None:
            if not process.ended:
                return process
            _log.warning("a decoder ended (%s); another one is started", self._lose(process))
            self._add()
        self._free.put(None)  # for the next who waits
        raise Closed("the service is shutting down")

    def _give(self, process: _Process) -> None:
        """It is free."""
        with self._lock:
            if not self._closed.is_set():
                self._free.put(process)
                return
        self._lose(process)

    def _add(self) -> None:
        """Start one that joins once it is up; until one is, try again."""
        threading.Thread(target=self._start_one, name="decoder-start", daemon=True).start()

    def _start_one(self) -> None:
        failed = False
        while not self._closed.is_set():
            try:
                self._give(self._try())
            except OSError as error:
                if not failed and not self._closed.is_set():
                    _log.error("a decoder cannot be started (%s); it is tried again", error)
                    with self._lock:
                        self._failing += 1
                    failed = True
                self._closed.wait(RETRY_S)
            else:
                break
        with self._lock:
            self._failing -= failed

    def _try(self) -> _Process:
        """A process that is up. Raises OSError: it cannot be started."""
        with self._lock:
            if self._closed.is_set():
                raise OSError("closed")
            process = _Process()
            self._processes.add(process)
        if process.greets():
            return process
        raise OSError(self._lose(process))

    def _lose(self, process: _Process) -> str:
        """End it; how it ended."""
        with self._lock:
            self._processes.discard(process)
        how = process.end()
        process.close()
        return how


class _Process:
    """One of them, and our end of the connection to it."""

    def __init__(self) -> None:
        """Raises OSError: it cannot be started."""
        self.up = False
        """Whether it takes files."""
        self.overdue = False
        """Whether it was killed for its time, and has not ended yet."""
        self._connection, theirs = Pipe()
        self._memory = os.fdopen(os.memfd_create("audio"), "r+b")
        handed = (theirs.fileno(), self._memory.fileno())
        with theirs:
            self._child = spawn(MODULE, *handed)

    def greets(self) -> bool:
        """Wait until it is up; False if it ends instead."""
        with self._within(START_S):
            try:
                self.up = self._connection.recv_bytes() == READY
            except (EOFError, OSError):
                return False
        return self.up

    def decode(self, data: bytes, sample_rate: int, limits: DecodeLimits) -> Waveform:
        """Raises AudioError; EOFError or OSError: it has ended, or is about to."""
        request = {"size": len(data), "rate": sample_rate, "limits": asdict(limits)}
        memory = self._memory.fileno()
        with self._within(WALL * limits.max_cpu_s):
            os.pwrite(memory, data, 0)
            self._connection.send_bytes(json.dumps(request).encode())
            reply: dict[str, Any] = json.loads(self._connection.recv_bytes())
        refuse(reply)
        samples = np.empty(reply.pop("size"), np.float32)
        os.preadv(memory, [samples.data], 0)
        return Waveform(torch.from_numpy(samples), sample_rate, source_of(reply))

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._child.poll() is not None

    def end(self) -> str:
        """Kill it, whatever it does; how it ended."""
        return put_down(self._child)

    def close(self) -> None:
        """Let go of it; nobody may be in the midst of a call."""
        self._connection.close()
        self._memory.close()

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Kill it if the block takes longer."""

        def give_up() -> None:
            self.overdue = True
            self._child.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.overdue = False


ENVIRONMENT = {
    # No team of threads for a few sums.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # With glibc's allocator, what one file needed is kept for the next: 64 MiB, in one piece.
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
}


def spawn(module: str, *handed: int) -> subprocess.Popen[bytes]:
    """``python -m`` a module of ours, to which these file descriptors are handed. Raises OSError.

    A group of its own: Ctrl-C is for the service, which still answers what it accepted.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, handed)],
        env={**os.environ, "PYTHONPATH": path, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=handed,
        process_group=0,
    )


def put_down(child: subprocess.Popen[bytes]) -> str:
    """Kill a process, whatever it does; how it ended."""
    child.kill()
    try:
        code = child.wait(END_S)
    except subprocess.TimeoutExpired:  # the kernel does not let go of it
        return "it cannot be killed"
    return f"signal {-code}" if code < 0 else f"status {code}"


def refuse(reply: dict[str, Any]) -> None:
    """Raise the error that a reply is, if it is one."""
    if "error" in reply:
        raise getattr(errors, reply["error"] or "", RuntimeError)(reply["message"])


def source_of(reply: dict[str, Any]) -> SourceInfo:
    """What the file was, by the reply."""
    return SourceInfo(**{**reply, "warnings": tuple(reply["warnings"])})
