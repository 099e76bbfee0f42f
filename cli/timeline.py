"""Recordings of any length to timelines: as lines while they are heard, JSON, or subtitles."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from cli.describe import Failed, between, complain, reason, show_failure, write_line
from cli.files import STDIN, open_recording
from engine.subtitles import srt, vtt
from model.errors import AudioError

Told = dict[str, Any]
"""A line of the HTTP API's NDJSON, without what tells of the HTTP request."""


class Listener(AbstractAsyncContextManager[Any], Protocol):
    """Who listens: the model here, or a service."""

    def listen(self, file: BinaryIO) -> AsyncGenerator[Told]:
        """What is heard when, in a file on a disk; to be closed.

        Raises Failed or AudioError, and others that end the run.
        """


@dataclass(frozen=True)
class Form:
    """How timelines are written."""

    format: str
    """text, json, vtt or srt."""
    folder: Path | None = None
    """Where each file's is written to; None: to the standard output."""
    sentence_case: bool = False
    """Of subtitles."""

    def text(self, told: Told) -> str:
        """A whole timeline, but for those that are written as they come."""
        if self.format == "vtt":
            notes = [*told["audio"]["warnings"], told["summary"]]
            return vtt(told["entries"], notes, sentence_case=self.sentence_case)
        if self.format == "srt":
            return srt(told["entries"], sentence_case=self.sentence_case)
        return json.dumps(told) + "\n"


async def timelines(paths: Sequence[str], listener: Listener, form: Form) -> int:
    """Tell of each recording, one after the other; 0, or 1 if one could not be heard."""
    status = 0
    async with listener:
        for path in paths:
            try:
                with open_recording(path) as file:
                    await _timeline(path, listener.listen(file), form)
            except (Failed, AudioError, OSError) as error:
                status = 1
                show_failure(path, reason(error).removeprefix("file: "), form.format == "json")
    return status


async def _timeline(path: str, lines: AsyncGenerator[Told], form: Form) -> None:
    entries: list[Told] = []
    async with aclosing(lines):
        async for told in lines:
            if "summary" in told:
                for warning in told["audio"]["warnings"] if form.format != "json" else ():
                    complain(path, warning)
                _finish({"path": path, "entries": entries, **told}, form)
            elif "caption" in told:
                entries.append(told)
                if form.format == "text":
                    write_line(f"{path}: {between(told)} {told['caption']}")


def _finish(told: Told, form: Form) -> None:
    """Write what is written at the end."""
    if form.format == "text":
        write_line(f"{told['path']}: {told['summary']}")
    elif form.folder is None:
        write_line(form.text(told).removesuffix("\n"))
    else:
        name = "stdin" if told["path"] == STDIN else Path(told["path"]).stem
        target = form.folder / f"{name}.{form.format}"
        form.folder.mkdir(parents=True, exist_ok=True)
        target.write_text(form.text(told), encoding="utf-8")
        write_line(str(target))
