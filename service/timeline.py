"""A timeline's answer: as one object, as lines while it is worked on, or as subtitles."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from engine.engine import Engine
from engine.long import Entry, Item, Whole
from engine.subtitles import srt, vtt
from service import problems
from service.disconnect import unless_gone
from service.middleware import Record

VTT, SRT = "text/vtt", "application/x-subrip"
SUBTITLES = (VTT, SRT)


class Lines(StreamingResponse):
    """Newline-delimited JSON: entries and progress as they come, at last the whole or a problem."""

    media_type = "application/x-ndjson"

    def __init__(
        self, request: Request, first: Item, items: AsyncIterator[Item], held: AsyncExitStack
    ) -> None:
        """``held`` is let go at the end, or when the client leaves."""
        self._request = request
        self._held = held
        # A proxy that collects an answer would hold back what is to be seen at once.
        super().__init__(self._lines(first, items), headers={"X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send them."""
        async with self._held:
            try:
                await unless_gone(self._request, self.stream_response(send))
            except ClientDisconnect as error:
                problems.described(error, self._request.state.record)

    async def _lines(self, first: Item, items: AsyncIterator[Item]) -> AsyncGenerator[str]:
        try:
            yield _line(_told(self._request, first))
            async for item in items:
                yield _line(_told(self._request, item))
        except Exception as error:
            _, problem = problems.described(error, self._request.state.record)
            yield _line({"problem": problem.model_dump()})


async def gathered(request: Request, items: AsyncIterator[Item]) -> dict[str, Any]:
    """The whole answer."""
    entries: list[dict[str, Any]] = []
    async for item in items:
        if isinstance(item, Entry):
            entries.append(item.to_json())
        elif isinstance(item, Whole):
            whole = _told(request, item)
            return {"id": whole.pop("id"), "entries": entries, **whole}
    raise AssertionError("the last item is the whole")


def subtitles(kind: str, answer: dict[str, Any], *, sentence_case: bool) -> Response:
    """As WebVTT, whose comments say what could not be heard, and the summary; or as SubRip."""
    if kind == VTT:
        notes = [*answer["audio"]["warnings"], answer["summary"]]
        text = vtt(answer["entries"], notes, sentence_case=sentence_case)
    else:
        text = srt(answer["entries"], sentence_case=sentence_case)
    return Response(text, media_type=kind)


def _told(request: Request, item: Item) -> dict[str, Any]:
    """An item's JSON; the whole's with what tells of the model and the request."""
    told = item.to_json()
    if not isinstance(item, Whole):
        return told
    request.state.record.audio_s = item.source.duration_s
    summary = told.pop("summary")
    return {**ending(request), **told, "summary": summary}


def ending(request: Request) -> dict[str, Any]:
    """What an answer says of the request, and of the model."""
    record: Record = request.state.record
    engine: Engine = request.app.state.engine
    times = {**record.stages, "total": record.seconds}
    return {
        "id": record.id,
        "model": {"name": engine.captioner.name, "revision": engine.captioner.revision},
        "timing_ms": {stage: round(seconds * 1000, 3) for stage, seconds in times.items()},
    }


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told) + "\n"
