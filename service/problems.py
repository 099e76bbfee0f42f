"""Exception -> problem document (RFC 9457): one table, one handler."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine.errors import (
    Closed,
    DeadlinePassed,
    DeviceFailed,
    FatalBatch,
    NotReady,
    QueueFull,
    WorkerDied,
)
from model.errors import (
    AudioError,
    AudioTooLarge,
    AudioTooLong,
    AudioTooShort,
    CorruptAudio,
    EmptyAudio,
    OptionsError,
    UnsupportedFormat,
)
from model.types import MAX_BEAMS
from service.errors import BodyTooLarge, MalformedBody, NoRoom, Unauthorized
from service.middleware import Record
from service.schemas import Problem

_log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class ProblemType:
    """What one kind of exception is answered with."""

    status: int
    slug: str
    title: str


# Looked up along the exception's bases, so that the last entry catches everything else.
TABLE: Mapping[type[Exception], ProblemType] = {
    MalformedBody: ProblemType(400, "malformed-body", "Malformed multipart body"),
    EmptyAudio: ProblemType(400, "empty-audio", "Empty audio file"),
    Unauthorized: ProblemType(401, "unauthorized", "No valid API key"),
    BodyTooLarge: ProblemType(413, "body-too-large", "Request body too large"),
    AudioTooLarge: ProblemType(413, "audio-too-large", "Decoded audio too large"),
    UnsupportedFormat: ProblemType(415, "unsupported-format", "Not decodable as audio"),
    RequestValidationError: ProblemType(422, "invalid-field", "Invalid or missing field"),
    OptionsError: ProblemType(422, "invalid-options", "Options that cannot be met"),
    AudioTooShort: ProblemType(422, "audio-too-short", "Audio too short"),
    AudioTooLong: ProblemType(422, "audio-too-long", "Audio too long"),
    CorruptAudio: ProblemType(422, "corrupt-audio", "Corrupt audio"),
    AudioError: ProblemType(422, "unusable-audio", "Audio that cannot be used"),
    QueueFull: ProblemType(429, "queue-full", "Queue full"),
    ClientDisconnect: ProblemType(499, "client-gone", "Client closed the request"),
    NotReady: ProblemType(503, "not-ready", "Not ready"),
    Closed: ProblemType(503, "shutting-down", "Shutting down"),
    # 500, so that neither a balancer nor a client sends it on to the next replica.
    FatalBatch: ProblemType(500, "device-died", "Device died"),
    WorkerDied: ProblemType(503, "worker-died", "Model thread dead"),
    DeviceFailed: ProblemType(503, "device-failed", "Device failed"),
    NoRoom: ProblemType(507, "no-room", "No room for the upload"),
    DeadlinePassed: ProblemType(504, "deadline-passed", "Deadline passed"),
    Exception: ProblemType(500, "internal", "Internal error"),
}
CLIENT_GONE = TABLE[ClientDisconnect].slug


def problem_type(error: Exception) -> ProblemType:
    """By the closest base of ``error``."""
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
        docs = f"{request.scope.get('root_path', '')}/docs"
        record.problem = phrase.lower().replace(" ", "-")
        problem = Problem(
            type="about:blank",
            title=phrase,
            status=error.status_code,
            detail=f"{error.detail}; the routes are listed at {docs}",
            request_id=record.id,
        )
        headers = dict(error.headers or {})
    else:
        known, problem = described(error, record)
        headers = _headers(error, known)
    return JSONResponse(
        problem.model_dump(), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


def described(error: Exception, record: Record) -> tuple[ProblemType, Problem]:
    """What an exception that the router did not raise is answered with; the record notes it."""
    known, problem = problem_of(error, record.id)
    record.problem = known.slug
    return known, problem


def problem_of(error: Exception, request_id: str) -> tuple[ProblemType, Problem]:
    """What a request is told of an error by the table; what is not in it is logged."""
    known = problem_type(error)
    if known is TABLE[Exception]:
        _log.error("request %s failed", request_id, exc_info=error)
    return known, _problem(known, _detail(error, known), request_id)


def responses(kinds: Collection[type[Exception]]) -> dict[int | str, dict[str, object]]:
    """The OpenAPI description of the problems that a route answers, each with an example."""
    by_status: dict[int | str, dict[str, object]] = {}
    for status in sorted({TABLE[kind].status for kind in kinds}):
        known = {kind: TABLE[kind] for kind in kinds if TABLE[kind].status == status}
        by_status[status] = {
            "description": "; ".join(problem.title for problem in known.values()),
            "content": {
                MEDIA_TYPE: {
                    "schema": Problem.model_json_schema(),
                    "examples": {
                        problem.slug: {
                            "summary": problem.title,
                            "value": _problem(problem, _example(kind), "9f2c7d1e8a").model_dump(),
                        }
                        for kind, problem in known.items()
                    },
                }
            },
        }
        if status in (429, 503):
            by_status[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return by_status


def _problem(known: ProblemType, detail: str, request_id: str) -> Problem:
    return Problem(
        type=f"urn:audiodiff:problem:{known.slug}",
        title=known.title,
        status=known.status,
        detail=detail,
        request_id=request_id,
    )


def _detail(error: Exception, known: ProblemType) -> str:
    if known is TABLE[Exception]:
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
        return f"num_beams: Input should be less than or equal to {MAX_BEAMS}"
    return (kind.__doc__ or kind.__name__).splitlines()[0]


def _headers(error: Exception, known: ProblemType) -> dict[str, str]:
    if known.status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if known.status in (429, 503):
        seconds = getattr(error, "retry_after_s", NotReady.retry_after_s)
        return {"Retry-After": str(max(1, math.ceil(seconds)))}
    return {}
