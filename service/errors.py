"""Exception -> problem document (RFC 9457): one table, one handler."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine import batcher
from model import errors as model_errors
from service import schemas
from service.middleware import Record

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


class MalformedBody(Exception):
    """The body is not the multipart/form-data that its header announces."""


class Unauthorized(Exception):
    """Send one of the service's keys as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."""


class BodyTooLarge(Exception):
    """The request body is larger than 25 MiB; send a shorter or compressed clip."""


class NotReady(Exception):
    """The model is warming up; try again in a few seconds."""

    retry_after_s = 5.0


class DeviceFailed(Exception):
    """The device could not compute this; try a shorter clip or later."""

    retry_after_s = 5.0


@dataclass(frozen=True)
class Row:
    """What one kind of exception is answered with."""

    status: int
    slug: str
    title: str


# Looked up along the exception's bases, so that the last row catches everything else.
TABLE: Mapping[type[Exception], Row] = {
    MalformedBody: Row(400, "malformed-body", "Malformed multipart body"),
    model_errors.EmptyAudio: Row(400, "empty-audio", "Empty audio file"),
    Unauthorized: Row(401, "unauthorized", "No valid API key"),
    BodyTooLarge: Row(413, "body-too-large", "Request body too large"),
    model_errors.AudioTooLarge: Row(413, "audio-too-large", "Decoded audio too large"),
    model_errors.UnsupportedFormat: Row(415, "unsupported-format", "Not decodable as audio"),
    RequestValidationError: Row(422, "invalid-field", "Invalid or missing field"),
    model_errors.OptionsError: Row(422, "invalid-options", "Options that cannot be met"),
    model_errors.AudioTooShort: Row(422, "audio-too-short", "Audio too short"),
    model_errors.AudioTooLong: Row(422, "audio-too-long", "Audio too long"),
    model_errors.CorruptAudio: Row(422, "corrupt-audio", "Corrupt audio"),
    model_errors.AudioError: Row(422, "unusable-audio", "Audio that cannot be used"),
    batcher.QueueFull: Row(429, "queue-full", "Queue full"),
    ClientDisconnect: Row(499, "client-gone", "Client closed the request"),
    NotReady: Row(503, "not-ready", "Not ready"),
    batcher.Closed: Row(503, "shutting-down", "Shutting down"),
    # 500, so that neither a balancer nor a client sends it on to the next replica.
    batcher.FatalBatch: Row(500, "device-died", "Device died"),
    batcher.WorkerDied: Row(503, "worker-died", "Model thread dead"),
    DeviceFailed: Row(503, "device-failed", "Device failed"),
    batcher.DeadlinePassed: Row(504, "deadline-passed", "Deadline passed"),
    Exception: Row(500, "internal", "Internal error"),
}
CLIENT_GONE = TABLE[ClientDisconnect].slug


def row_for(error: Exception) -> Row:
    """The row of the closest base of ``error``."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def install(app: FastAPI) -> None:
    """Answer every expected exception by the table; the middleware sends it the rest."""
    for kind in (*TABLE, HTTPException):
        if kind is not Exception:
            app.add_exception_handler(kind, problem_response)


async def problem_response(request: Request, error: Exception) -> JSONResponse:
    """The one handler."""
    record: Record = request.state.record
    if isinstance(error, HTTPException):  # the router's own: no such path, no such method
        phrase = HTTPStatus(error.status_code).phrase
        record.problem = phrase.lower().replace(" ", "-")
        problem = schemas.Problem(
            type="about:blank",
            title=phrase,
            status=error.status_code,
            detail=f"{error.detail}; the routes are listed at /docs",
            request_id=record.id,
        )
        headers = dict(error.headers or {})
    else:
        row = row_for(error)
        record.problem = row.slug
        if row is TABLE[Exception]:
            _log.error("request %s failed", record.id, exc_info=error)
        problem = _problem(row, _detail(error, row), record.id)
        headers = _headers(error, row)
    return JSONResponse(
        problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def responses(kinds: Iterable[type[Exception]]) -> dict[int | str, dict[str, object]]:
    """The OpenAPI description of the problems that a route answers, each with an example."""
    by_status: dict[int | str, dict[str, object]] = {}
    for status in sorted({TABLE[kind].status for kind in kinds}):
        rows = {kind: row for kind, row in TABLE.items() if kind in kinds and row.status == status}
        by_status[status] = {
            "description": "; ".join(row.title for row in rows.values()),
            "content": {
                MEDIA_TYPE: {
                    "schema": schemas.Problem.model_json_schema(),
                    "examples": {
                        row.slug: {
                            "summary": row.title,
                            "value": _problem(row, _example(kind), "9f2c7d1e8a").model_dump(),
                        }
                        for kind, row in rows.items()
                    },
                }
            },
        }
        if status in (429, 503):
            by_status[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return by_status


def _problem(row: Row, detail: str, request_id: str) -> schemas.Problem:
    return schemas.Problem(
        type=f"urn:audiodiff:problem:{row.slug}",
        title=row.title,
        status=row.status,
        detail=detail,
        request_id=request_id,
    )


def _detail(error: Exception, row: Row) -> str:
    if row is TABLE[Exception]:
        return _example(Exception)
    if isinstance(error, RequestValidationError):
        return "; ".join(
            f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()
        )
    return str(error) or _example(type(error))


def _example(kind: type[Exception]) -> str:
    if kind is Exception:
        return "Something failed on our side; quote the request id when you report it."
    if kind is RequestValidationError:
        return "num_beams: Input should be less than or equal to 8"
    return (kind.__doc__ or kind.__name__).splitlines()[0]


def _headers(error: Exception, row: Row) -> dict[str, str]:
    if row.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if row.status in (429, 503):
        seconds = getattr(error, "retry_after_s", NotReady.retry_after_s)
        return {"Retry-After": str(max(1, math.ceil(seconds)))}
    return {}
