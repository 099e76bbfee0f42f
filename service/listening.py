"""``WS /listen``: PCM in, events out, each message of one key that says what it is."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal
from urllib.parse import urlsplit

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from engine.engine import Engine, before
from engine.listener import Event, Listener
from engine.settings import BACKGROUND_S, MAX_BACKGROUND_S, MIN_BACKGROUND_S
from model.audio.live import LiveResampler, from_pcm
from model.types import GenerationOptions
from service import problems
from service.errors import Unauthorized
from service.keys import check_keys
from service.metrics import Metrics
from service.settings import Settings

PATH = "/listen"
MAX_MESSAGE_BYTES = 1 << 20
"""Five seconds of two channels of 48 kHz and 32 bits are twice that; pieces of a second will do."""
END = "end"
_log = logging.getLogger("service.request")


class Start(BaseModel):
    """The first message of a client."""

    model_config = ConfigDict(extra="forbid")

    sample_rate: int = Field(16_000, ge=1000, le=384_000)
    format: Literal["s16le", "f32le"] = "s16le"
    channels: int = Field(1, ge=1, le=32)
    background_s: float = Field(BACKGROUND_S, ge=MIN_BACKGROUND_S, le=MAX_BACKGROUND_S)
    api_key: SecretStr | None = None


async def listen(socket: WebSocket) -> None:
    """Hear a stream until the client ends it; what goes wrong is its last message."""
    metrics: Metrics = socket.app.state.metrics
    request_id, began = uuid.uuid4().hex, time.monotonic()
    problem = None
    await socket.accept()
    try:
        await _listen(socket)
        await socket.close()
    except WebSocketDisconnect:
        problem = problems.CLIENT_GONE
    except Exception as error:
        known, told = problems.problem_of(error, request_id)
        problem = known.slug
        metrics.refused(problem)
        await _refuse(socket, told.status, told.model_dump())
    _log.info(
        "WS %s ended",
        PATH,
        extra={
            "fields": {
                "request_id": request_id,
                "route": PATH,
                "problem": problem,
                "total_ms": round((time.monotonic() - began) * 1000, 3),
            }
        },
    )


async def _listen(socket: WebSocket) -> None:
    engine: Engine = socket.app.state.engine
    settings: Settings = socket.app.state.settings
    start = await _start(socket, settings)
    _check_origin(socket, settings)
    with engine.streaming():
        listener = Listener(
            engine, start.background_s, GenerationOptions(), settings.request_timeout_s
        )
        captioner = engine.captioner
        ready = {
            "model": {"name": captioner.name, "revision": captioner.revision},
            "window_s": listener.stream.size / listener.sample_rate,
            "hop_s": listener.stream.hop / listener.sample_rate,
        }
        await socket.send_json({"ready": ready})
        async for event in _events(socket, start, listener, settings):
            await socket.send_json({"event": event.to_json()})


async def _events(
    socket: WebSocket, start: Start, listener: Listener, settings: Settings
) -> AsyncIterator[Event]:
    resample = LiveResampler(start.sample_rate, listener.sample_rate)
    while True:
        message = await _receive(socket, settings, "no sound came in time; send it as it comes")
        now = time.time(), time.monotonic()
        if message.get("text") == END:
            async for event in listener.hear(resample.end(), *now):
                yield event
            async for event in listener.end(*now):
                yield event
            return
        if (data := message.get("bytes")) is None:
            raise _wrong(f"send binary messages of samples, or the text {END}")
        samples = resample(from_pcm(data, start.format, start.channels))
        async for event in listener.hear(samples, *now):
            yield event


async def _start(socket: WebSocket, settings: Settings) -> Start:
    """The first message. Raises RequestValidationError, Unauthorized or DeadlinePassed."""
    message = await _receive(socket, settings, "no first message came in time; send it at once")
    try:
        start = Start.model_validate_json(message.get("text") or "")
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    if settings.api_keys:
        scheme, _, bearer = socket.headers.get("authorization", "").partition(" ")
        own = start.api_key.get_secret_value() if start.api_key else None
        header = socket.headers.get("x-api-key")
        check_keys(settings, [own, header, bearer if scheme.lower() == "bearer" else None])
    return start


async def _receive(socket: WebSocket, settings: Settings, late: str) -> dict[str, Any]:
    """The next message. Raises WebSocketDisconnect, or DeadlinePassed with what to do."""
    async with before(time.monotonic() + settings.request_timeout_s, late):
        message: dict[str, Any] = dict(await socket.receive())
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message


def _check_origin(socket: WebSocket, settings: Settings) -> None:
    """Raise Unauthorized for a page of another origin, which no browser keeps from asking."""
    origin = socket.headers.get("origin")
    own = origin and urlsplit(origin).netloc == socket.headers.get("host")
    if origin and not own and not {"*", origin} & {*settings.cors_origins}:
        raise Unauthorized(
            f"Pages of {origin} may not listen here; AUDIODIFF_CORS_ORIGINS says whose may."
        )


async def _refuse(socket: WebSocket, status: int, problem: dict[str, Any]) -> None:
    """Send a problem and close, if the client is still there."""
    code = {500: 1011, 429: 1013, 503: 1013, 504: 1013}.get(status, 1008)
    try:
        await socket.send_json({"problem": problem})
        await socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        _log.debug("the client is gone")


def _wrong(message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("message",), "msg": message}])
