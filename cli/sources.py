"""What is listened to, and how it is opened: a microphone, a pipe, a file, a URL; by FFmpeg.

Shapes: S samples, C channels.
"""

from __future__ import annotations

import asyncio
import queue
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error

from model.audio.readers import Samples, joined
from model.errors import AudioError, OptionsError

MICROPHONE = "mic"
STDIN = "-"
_MICROPHONES = {"linux": "alsa:default", "darwin": "avfoundation::0"}
_DEVICES = ("alsa", "oss", "avfoundation", "dshow")
_PAUSES_S = (1, 2, 4, 8, 16, 30)
"""Before a source that broke is opened again; the last holds on."""
_TIMEOUT_S = (10.0, 30.0)
"""How long a URL may take to open, and to go on."""
_AHEAD = 1500
"""Pieces that may wait for the model: half a minute of those of 20 ms."""


@dataclass(frozen=True)
class Piece:
    """The next of a source's sound."""

    rate: int
    """Hertz."""
    samples: Samples
    """[S, C]."""
    at: float
    """The Unix time of its end."""
    arrived: float
    """When it was read, by ``time.monotonic``."""


@dataclass(frozen=True)
class Source:
    """Something that FFmpeg opens."""

    name: str
    """What is said of it; without the password of a URL."""
    url: str
    kind: str | None = None
    """FFmpeg's name for a format or a kind of device; None where it finds out."""
    options: dict[str, str] = field(default_factory=dict)
    lasting: bool = False
    """Whether its end is a fault, after which it is opened again."""
    recorded: bool = False
    """Whether its time is that of its sound, counted from the start, and not the clock's."""
    pace: bool = False
    """Whether it is held up to be no faster than its sound."""
    timeout_s: tuple[float, float] | None = None

    def read(self) -> Iterator[tuple[int, Samples]]:
        """Rate and samples [S, C], until its end. Raises AudioError."""
        try:
            with av.open(
                self.url,
                format=self.kind,
                container_options=self.options,
                timeout=self.timeout_s,
                metadata_errors="replace",
            ) as container:
                if not container.streams.audio:
                    raise AudioError(f"{self.name} has no sound; name a source that has")
                stream = container.streams.best("audio")
                for packet in container.demux(stream):
                    with suppress(av.error.InvalidDataError):  # the next may be sound again
                        for frame in packet.decode():
                            assert isinstance(frame, av.AudioFrame)
                            yield joined([frame])
        except (av.FFmpegError, OSError) as error:
            raise AudioError(f"{self.name}: {error.strerror or error}") from error


def source(argument: str, rate: int | None, channels: int, *, fast: bool) -> Source:
    """What an argument of the command line means. Raises OptionsError."""
    if argument == MICROPHONE:
        argument = _MICROPHONES.get(sys.platform, "")
        if not argument:
            raise OptionsError("name the microphone, as dshow:audio=NAME")
    if argument == STDIN:
        if rate is None:
            return Source("standard input", "pipe:0")
        raw = {"sample_rate": str(rate), "ch_layout": f"{channels}c", "probesize": "32"}
        return Source("standard input", "pipe:0", "s16le", raw)
    if rate is not None:
        raise OptionsError("--rate is of raw samples on standard input, which is -")
    kind, _, device = argument.partition(":")
    if kind in _DEVICES:
        return Source(argument, device, kind, lasting=True)
    if "://" in argument:
        name = re.sub(r"//[^/@]*@", "//", argument)
        options = {"rtsp_transport": "tcp"} if argument.startswith("rtsp") else {}
        return Source(name, argument, None, options, lasting=True, timeout_s=_TIMEOUT_S)
    if not Path(argument).exists():
        raise OptionsError(f"there is no file {argument}, and it is no URL and no device")
    # With its protocol, so that no name of a file is taken for another one.
    return Source(argument, f"file:{argument}", recorded=True, pace=not fast)


async def pieces(
    source: Source, broken: Callable[[str], None], pauses_s: tuple[float, ...] = _PAUSES_S
) -> AsyncIterator[Piece | None]:
    """A source's sound as it comes; None where it broke, until it could be opened again.

    ``broken`` is told why it did, and at each try why not. Reading has a thread of its own, ahead
    by a bounded number of pieces. Raises AudioError if a source that may end cannot be read.
    """
    ahead: queue.Queue[Piece | AudioError | type[StopAsyncIteration] | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: Piece | AudioError | type[StopAsyncIteration] | None) -> bool:
        while not stop.is_set():
            with suppress(queue.Full):
                ahead.put(item, timeout=1)
                return True
        return False

    def read() -> None:
        pauses = iter(pauses_s)
        began, read_s = time.time(), 0.0
        while not stop.is_set():
            fault, whole = f"{source.name} ended", read_s
            try:
                for rate, samples in source.read():
                    read_s += len(samples) / rate
                    now = time.time()
                    at = began + read_s if source.recorded else now
                    if source.pace and at > now and stop.wait(at - now):
                        return
                    if not put(Piece(rate, samples, at, time.monotonic())):
                        return
                    pauses = iter(pauses_s)
            except AudioError as error:
                if not source.lasting:
                    put(error)
                    return
                fault = str(error)
            if not source.lasting:
                put(StopAsyncIteration)
                return
            broken(fault)
            if read_s > whole:
                put(None)
            stop.wait(next(pauses, pauses_s[-1]))

    threading.Thread(target=read, name="source", daemon=True).start()
    try:
        while True:
            item = await asyncio.to_thread(ahead.get)
            if isinstance(item, AudioError):
                raise item
            if item is StopAsyncIteration:
                return
            assert item is None or isinstance(item, Piece)
            yield item
    finally:
        stop.set()
        with suppress(queue.Full):  # who still waits in a thread would keep the process
            ahead.put_nowait(None)
