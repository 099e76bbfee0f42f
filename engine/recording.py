"""A long recording, decoded by a process of its own that lives as long as it is heard.

What a decoding library does to the process costs the recording what follows, and nobody else
anything: short files have their own (``engine.decoders``), and never wait for it.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from dataclasses import asdict, replace
from multiprocessing.connection import Pipe
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from engine.decoders import put_down, refuse, source_of, spawn
from model.audio import DecodeLimits
from model.errors import CorruptAudio
from model.types import SourceInfo

MODULE = "engine.block_decoder"
"""What the process runs."""
STUCK_S = 600.0
"""A block that takes longer never comes. Its processor time is held to by the kernel, much sooner;
on starved cores a process that makes way for others may wait for minutes."""
_log = logging.getLogger(__name__)


async def blocks(
    file: BinaryIO, sample_rate: int, limits: DecodeLimits
) -> AsyncGenerator[tuple[Tensor, SourceInfo]]:
    """Mono samples [S] of a file, and what it is so far; ``limits.max_cpu_s`` for each block.

    The process ends with the generator, which is to be closed. Nobody else may read the file.

    Raises:
        AudioError: as ``model.audio.blocks.decode_blocks``; CorruptAudio if the process ended
            before the first block. If it ends later, the last source's ``warnings`` say so.
    """
    source = None
    process = _Process(file)
    try:
        await asyncio.to_thread(process.ask, sample_rate, limits)
        while (block := await asyncio.to_thread(process.take)) is not None:
            samples, source = block
            yield samples, source
    except (EOFError, OSError) as error:
        how = await asyncio.to_thread(process.end)
        _log.warning("the decoder of a long recording ended (%s)", how)
        what = "its decoder crashed, or took too much time or memory"
        if source is None or not source.duration_s:
            raise CorruptAudio(
                f"The file cannot be decoded: {what}. Export it again, as WAV or FLAC."
            ) from error
        note = f"It is not heard beyond {source.duration_s:.0f} s: {what}."
        yield torch.empty(0), replace(source, warnings=(*source.warnings, note))
    finally:
        process.kill()  # whoever waits for a block in a thread is to learn of it
        await asyncio.to_thread(process.end)


class _Process:
    """It, and our end of the connection to it; every method but ``kill`` may wait."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises OSError: it cannot be started."""
        self._lock = threading.Lock()
        self._connection, theirs = Pipe()
        with theirs, ExitStack() as stack:
            try:
                file.flush()
                number = file.fileno()
            except io.UnsupportedOperation:  # it is but in memory
                copy = stack.enter_context(tempfile.TemporaryFile())
                file.seek(0)
                shutil.copyfileobj(file, copy)
                copy.flush()
                number = copy.fileno()
            self._child = spawn(MODULE, theirs.fileno(), number)

    def ask(self, sample_rate: int, limits: DecodeLimits) -> None:
        """Say what is wanted. Raises OSError: it has ended."""
        request = {"rate": sample_rate, "limits": asdict(limits)}
        self._connection.send_bytes(json.dumps(request).encode())

    def take(self) -> tuple[Tensor, SourceInfo] | None:
        """The next block, or None at the end. Raises AudioError; EOFError or OSError: it ended."""
        with self._lock:
            if not self._connection.poll(STUCK_S):
                raise EOFError
            message = self._connection.recv_bytes()
            if not message:
                return None
            reply: dict[str, Any] = json.loads(message)
            refuse(reply)
            samples = np.frombuffer(bytearray(self._connection.recv_bytes()), np.float32)
            return torch.from_numpy(samples), source_of(reply)

    def kill(self) -> None:
        """Begin to end it."""
        self._child.kill()

    def end(self) -> str:
        """Wait until it is gone; how it ended."""
        with self._lock:
            self._connection.close()
        return put_down(self._child)
