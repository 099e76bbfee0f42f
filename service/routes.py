"""The endpoints, nothing else."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar

import torch
from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from engine.engine import Engine, before, dtype_name
from engine.errors import NotReady, WorkerDied
from model.types import GenerationOptions
from service import examples, problems, schemas
from service.forms import CaptionForm, DifferenceForm, Form
from service.keys import check_keys
from service.listening import PATH, listen
from service.metrics import Metrics
from service.middleware import Record
from service.settings import Settings
from service.uploads import announced, read_form
from service.version import version

T = TypeVar("T")


def add_routes(app: FastAPI, settings: Settings, defaults: GenerationOptions) -> None:
    """Give the app its endpoints; keys, where there are any, guard the two that compute.

    ``defaults`` are the checkpoint's, for the documentation.
    What was not asked for, as the reverse or a sound's events, stays unset and out of an answer.
    """
    inference = APIRouter(
        tags=["inference"], dependencies=[Depends(require_key)] if settings.api_keys else []
    )
    refusals = [kind for kind in problems.TABLE if kind is not ClientDisconnect]
    inference.post(
        "/caption",
        responses=_answers(examples.CAPTION, refusals),
        openapi_extra=_body(CaptionForm, defaults),
        response_model_exclude_unset=True,
    )(caption)
    inference.post(
        "/difference",
        responses=_answers(examples.DIFFERENCE, refusals),
        openapi_extra=_body(DifferenceForm, defaults),
        response_model_exclude_unset=True,
    )(difference)
    app.include_router(inference)
    app.add_api_websocket_route(PATH, listen)

    operations = APIRouter(tags=["operations"])

    def get(path: str, endpoint: Callable[..., Any], **described: Any) -> None:
        operations.head(path, include_in_schema=False)(endpoint)  # the server sends no body
        operations.get(path, **described)(endpoint)

    dead = _answers(examples.HEALTH, [WorkerDied])
    unready = _answers(examples.HEALTH, [NotReady, WorkerDied])
    get("/livez", livez, responses=dead)
    get("/readyz", readyz, responses=unready)
    get("/healthz", readyz, responses=unready)
    get("/info", info, responses=_answers(examples.INFO))
    get(
        "/metrics",
        exposition,
        response_class=PlainTextResponse,
        responses=_answers(examples.METRICS, media_type="text/plain"),
    )
    app.include_router(operations)


# -- inference --------------------------------------------------------------------------------


async def caption(request: Request) -> schemas.CaptionResponse:
    """Say what is heard in a clip.

    `curl -F file=@dog.ogg -F num_beams=4 localhost:8000/caption`
    """
    return schemas.CaptionResponse(**await _answer(request, CaptionForm, "file"))


async def difference(request: Request) -> schemas.DifferenceResponse:
    """Say what is heard in `input` and not in `reference`; with `both`, the reverse too.

    `curl -F input=@now.wav -F reference=@before.wav localhost:8000/difference`
    """
    return schemas.DifferenceResponse(
        **await _answer(request, DifferenceForm, "input", "reference")
    )


async def _answer(request: Request, kind: type[Form], *fields: str) -> dict[str, Any]:
    """Admit, read, describe: refused before the body is read, withdrawn if the client leaves.

    The files lie in ``fields`` of the form; the result is the answer's body.
    """
    engine: Engine = request.app.state.engine
    settings: Settings = request.app.state.settings
    record: Record = request.state.record
    deadline = record.began + settings.request_timeout_s
    async with AsyncExitStack() as stack:
        most = settings.max_upload_bytes
        stack.enter_context(engine.admit(min(announced(request, most), most)))
        began = time.monotonic()
        async with before(deadline, "the body did not arrive in time; send it faster or smaller"):
            form = await stack.enter_async_context(read_form(request, kind, most))
        record.stages["read"] = time.monotonic() - began
        files = {field: getattr(form, field).file for field in fields}
        both = isinstance(form, DifferenceForm) and form.both
        answer = await _unless_gone(request, engine.answer(files, form.options, deadline, both))
    record.stages.update(answer.stages)
    record.batch_size = answer.batch_size
    record.audio_s = sum(source.duration_s for source in answer.sources.values())
    times = {**answer.stages, "total": record.seconds}
    timing = {stage: round(seconds * 1000, 3) for stage, seconds in times.items()}
    return {**answer.to_json(events=form.events), "id": record.id, "timing_ms": timing}


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled with ClientDisconnect if the client leaves."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = task, watcher = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watcher.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _answers(
    example: object,
    refusals: Collection[type[Exception]] = (),
    media_type: str = "application/json",
) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for OpenAPI: an example of success, and of each problem."""
    success = {"description": "Success", "content": {media_type: {"example": example}}}
    return {200: success, **problems.responses(refusals)}


def _body(kind: type[Form], defaults: GenerationOptions) -> dict[str, Any]:
    """The form's OpenAPI description: the route reads its body itself, while it streams."""
    content = {"multipart/form-data": {"schema": kind.schema_of(defaults)}}
    return {"requestBody": {"required": True, "content": content}}


async def require_key(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
    header: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
) -> None:
    """Let a request pass that brings a key."""
    check_keys(request.app.state.settings, [bearer.credentials if bearer else None, header])


# -- operations -------------------------------------------------------------------------------


async def livez(request: Request) -> schemas.Health:
    """200 while the process can serve; 503 once the model thread is dead."""
    engine: Engine = request.app.state.engine
    if engine.died:
        engine.check()
    return schemas.Health()


async def readyz(request: Request) -> schemas.Health:
    """200 only when requests are taken: warmed up, model thread alive, not shutting down."""
    engine: Engine = request.app.state.engine
    engine.check()
    return schemas.Health()


async def info(request: Request) -> schemas.Info:
    """What is served, on what, within which limits."""
    captioner = request.app.state.engine.captioner
    settings: Settings = request.app.state.settings
    return schemas.Info(
        model=schemas.Model(name=captioner.name, revision=captioner.revision),
        card=captioner.card,
        device=str(captioner.device),
        dtype=dtype_name(captioner.dtype),
        sample_rate=captioner.sample_rate,
        frame_s=captioner.frame_s,
        limits=schemas.InfoLimits(
            **{name: getattr(settings, name) for name in schemas.InfoLimits.model_fields}
        ),
        versions={
            "audiodiff": version(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    )


async def exposition(request: Request) -> Response:
    """Metrics in the Prometheus text format."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
