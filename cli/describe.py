"""Files to answers to lines: in the order of the files, many at a time, and none stops the rest."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from itertools import islice
from typing import Any, BinaryIO, Protocol

from tqdm import tqdm

from cli.files import open_clip
from model.errors import AudioError

LOOK_AHEAD = 256
"""Answers that may wait for one before them."""

Request = Mapping[str, str]
"""Field of the HTTP API (``file``, or ``input`` and ``reference``) -> path."""
Reply = Mapping[str, Any]
"""As the HTTP API has it, without what tells of the HTTP request."""


class Failed(Exception):
    """One request could not be answered; others can."""


class Describer(AbstractAsyncContextManager[Any], Protocol):
    """Who answers: the model here, or a service."""

    in_flight: int
    """How many requests it should be handed at a time."""

    async def describe(self, files: Mapping[str, BinaryIO]) -> Reply:
        """Answer one request. Raises Failed or AudioError, and others that end the run."""


async def describe(
    requests: Sequence[Request], describer: Describer, held: Mapping[str, bytes], as_json: bool
) -> int:
    """Print an answer to each request; 0, or 1 if some could not be answered.

    Few files are open, and few clips in memory, at a time: ``describer.in_flight``.
    """
    room = asyncio.Semaphore(describer.in_flight)

    async def answer(request: Request) -> Reply | str:
        async with room:
            try:
                with ExitStack() as stack:
                    files = {
                        field: stack.enter_context(open_clip(path, held))
                        for field, path in request.items()
                    }
                    return await describer.describe(files)
            except (Failed, AudioError, OSError) as error:
                return reason(error).removeprefix(f"{next(iter(request))}: ")

    waiting = iter(requests)
    ahead: deque[tuple[Request, asyncio.Task[Reply | str]]] = deque()
    status = 0
    with tqdm(total=len(requests), unit="file", disable=None, leave=False) as bar:
        async with describer:
            try:
                while True:
                    for request in islice(waiting, LOOK_AHEAD - len(ahead)):
                        ahead.append((request, asyncio.create_task(answer(request))))
                    if not ahead:
                        return status
                    request, task = ahead.popleft()
                    found = await task
                    if isinstance(found, str):
                        status = 1
                        show_failure(next(iter(request.values())), found, as_json)
                    else:
                        show(request, found, as_json)
                    bar.update()
            finally:
                for _, task in ahead:
                    task.cancel()
                await asyncio.gather(*(task for _, task in ahead), return_exceptions=True)


def reason(error: Exception) -> str:
    """What is said of an error after the name of the file."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def show(request: Request, reply: Reply, as_json: bool) -> None:
    """Print an answer: one JSON object, or a line for each caption.

    What of a file could not be heard is among the JSON, or goes to standard error.
    """
    paths = [*request.values()]
    if as_json:
        names = ("path", "reference_path")
        write_line(json.dumps({**dict(zip(names, paths, strict=False)), **reply}))
    else:
        write_line("\n".join(_lines(paths, reply)))
        sources = [reply[field] for field in ("audio", "input", "reference") if field in reply]
        for path, source in zip(paths, sources, strict=False):
            for warning in source.get("warnings", ()):
                complain(path, warning)


def show_failure(path: str, message: str, as_json: bool) -> None:
    """Say on standard error what is wrong with a file, and among JSON lines too."""
    complain(path, message)
    if as_json:
        write_line(json.dumps({"path": path, "error": message}))


def _lines(paths: Sequence[str], reply: Reply) -> Iterator[str]:
    """The reverse direction is told of the reference; long recordings at the times of entries."""
    if "only" in reply:
        for path, entries in zip(paths, reply["only"].values(), strict=True):
            for entry in entries:
                yield f"{path}: {between(entry)} {entry['caption']}"
        return
    directions = [reply, *([reply["reverse"]] if "reverse" in reply else [])]
    for path, captioned in zip(paths, directions, strict=False):
        for one in (captioned, *captioned["alternatives"]):
            yield f"{path}: {one['caption']}"


def between(entry: Mapping[str, Any]) -> str:
    """From when to when, in hours, minutes and seconds."""

    def clock(seconds: float) -> str:
        tenths = round(seconds * 10)
        return f"{tenths // 36_000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"

    return f"{clock(entry['start_s'])}-{clock(entry['end_s'])}"


def complain(path: str, message: str) -> None:
    """Say it of a file on standard error, above the progress bar."""
    with tqdm.external_write_mode(sys.stderr):
        print(f"{path}: {message}", file=sys.stderr)


def write_line(text: str) -> None:
    """Print at once on standard output, above the progress bar."""
    with tqdm.external_write_mode():
        print(text, flush=True)
