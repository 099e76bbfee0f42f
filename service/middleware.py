"""Around every request: its id, its clock, its line in the log, its place in the metrics."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("service.request")
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
UNMATCHED = "unmatched"


@dataclass
class Record:
    """What is known of one request; filled in on its way."""

    id: str
    began: float = field(default_factory=time.monotonic)
    endpoint: str = UNMATCHED
    status: int = 0
    problem: str | None = None
    """The slug of the problem document it was answered with."""
    stages: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds."""
    audio_s: float = 0.0
    style: str | None = None
    """Of a difference."""
    batch_size: int | None = None

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.monotonic() - self.began


class RequestContext:
    """ASGI middleware, the outermost; ``observe`` is called once per request, at its end."""

    def __init__(
        self,
        app: ASGIApp,
        observe: Callable[[Record], None],
        on_error: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self._app = app
        self._observe = observe
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an exception that nobody handled becomes a problem document."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        theirs = Headers(scope=scope).get("x-request-id", "")
        record = Record(theirs if _SANE_ID.fullmatch(theirs) else uuid.uuid4().hex)
        scope.setdefault("state", {})["record"] = record

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = record.id
                headers["Server-Timing"] = _server_timing(record)
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except Exception as error:
            response = await self._on_error(Request(scope), error)
            if record.status:
                raise  # too late for an answer: the server closes the connection
            await response(scope, receive, stamped)
        finally:
            record.endpoint = getattr(scope.get("route"), "path", UNMATCHED)
            self._observe(record)
            _log.info(
                "%s %s %d",
                scope["method"],
                record.endpoint,
                record.status,
                extra={"fields": _fields(record, scope["method"])},
            )


def _server_timing(record: Record) -> str:
    times = {**record.stages, "total": record.seconds}
    return ", ".join(f"{stage};dur={seconds * 1000:.3f}" for stage, seconds in times.items())


def _fields(record: Record, method: str) -> dict[str, object]:
    return {
        "request_id": record.id,
        "method": method,
        "route": record.endpoint,
        "status": record.status,
        "problem": record.problem,
        "stages_ms": {stage: round(s * 1000, 3) for stage, s in record.stages.items()},
        "total_ms": round(record.seconds * 1000, 3),
        "batch_size": record.batch_size,
        "audio_s": round(record.audio_s, 3),
    }
