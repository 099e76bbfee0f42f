"""The endpoints, nothing else."""

from __future__ import annotations

import asyncio
import hmac
import platform
import time
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from importlib import metadata
from typing import Annotated, Any, TypeVar

import torch
from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.responses import PlainTextResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from engine import batcher
from engine.engine import Answer, Engine, before, dtype_name
from service import errors, examples, schemas
from service.metrics import Metrics
from service.middleware import Record
from service.settings import Settings
from service.uploads import announced, read_form

T = TypeVar("T")
F = TypeVar("F", bound=schemas.Form)


def add_routes(app: FastAPI, settings: Settings) -> None:
    """Give the app its endpoints; keys, where there are any, guard the two that compute."""
    inference = APIRouter(
        tags=["inference"], dependencies=[Depends(require_key)] if settings.api_keys else []
    )
    problems = [kind for kind, row in errors.TABLE.items() if row.slug != errors.CLIENT_GONE]
    inference.post(
        "/caption",
        responses=_answers(examples.CAPTION, problems),
        openapi_extra=_body(schemas.CaptionForm),
    )(caption)
    inference.post(
        "/difference",
        responses=_answers(examples.DIFFERENCE, problems),
        openapi_extra=_body(schemas.DifferenceForm),
        response_model_exclude_unset=True,
    )(difference)
    app.include_router(inference)

    operations = APIRouter(tags=["operations"])
    dead = _answers(examples.HEALTH, [batcher.WorkerDied])
    unready = _answers(examples.HEALTH, [errors.NotReady, batcher.WorkerDied])
    operations.get("/livez", responses=dead)(livez)
    operations.get("/readyz", responses=unready)(readyz)
    operations.get("/healthz", responses=unready)(readyz)
    operations.get("/info", responses=_answers(examples.INFO))(info)
    operations.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=_answers(examples.METRICS, media_type="text/plain"),
    )(exposition)
    app.include_router(operations)


# -- inference --------------------------------------------------------------------------------


async def caption(request: Request) -> schemas.CaptionResponse:
    """Say what is heard in a clip.

    `curl -F file=@dog.ogg -F num_beams=4 localhost:8000/caption`
    """
    _, answer = await _answer(request, schemas.CaptionForm, "file")
    return schemas.CaptionResponse(
        **dict(schemas.captioned(answer.descriptions[0])),
        audio=schemas.Audio.of(answer.sources[0]),
        **_common(request, answer),
    )


async def difference(request: Request) -> schemas.DifferenceResponse:
    """Say what is heard in `input` and not in `reference`; with `both`, the reverse too.

    `curl -F input=@now.wav -F reference=@before.wav localhost:8000/difference`
    """
    form, answer = await _answer(request, schemas.DifferenceForm, "input", "reference")
    directions = [schemas.direction(description) for description in answer.descriptions]
    response = schemas.DifferenceResponse(
        **dict(directions[0]),
        input=schemas.Audio.of(answer.sources[0]),
        reference=schemas.Audio.of(answer.sources[1]),
        **_common(request, answer),
    )
    if form.both:  # else it stays unset, and out of the answer
        response.reverse = directions[1]
    return response


async def _answer(request: Request, kind: type[F], *parts: str) -> tuple[F, Answer]:
    """Admit, read, describe: refused before the body is read, withdrawn if the client leaves."""
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
        files = {part: getattr(form, part).file for part in parts}
        both = isinstance(form, schemas.DifferenceForm) and form.both
        answer = await _unless_gone(request, engine.answer(files, form.options, deadline, both))
    record.stages.update(answer.stages)
    record.batch_size = answer.batch_size
    record.audio_s = sum(source.duration_s for source in answer.sources)
    return form, answer


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


def _common(request: Request, answer: Answer) -> dict[str, Any]:
    engine: Engine = request.app.state.engine
    record: Record = request.state.record
    times = {**answer.stages, "total": record.seconds}
    return {
        "id": record.id,
        "model": schemas.Model(name=engine.pipeline.name, revision=engine.pipeline.revision),
        "timing_ms": schemas.Timing(**{key: round(s * 1000, 3) for key, s in times.items()}),
    }


def _answers(
    example: object,
    problems: Iterable[type[Exception]] = (),
    media_type: str = "application/json",
) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for OpenAPI: an example of success, and of each problem."""
    success = {"description": "Success", "content": {media_type: {"example": example}}}
    return {200: success, **errors.responses(problems)}


def _body(kind: type[schemas.Form]) -> dict[str, Any]:
    """The form's OpenAPI description: the route reads its body itself, while it streams."""
    content = {"multipart/form-data": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def require_key(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
    header: Annotated[str | None, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
) -> None:
    """Let a request pass that brings a key."""
    settings: Settings = request.app.state.settings
    given = [key.encode() for key in (bearer.credentials if bearer else None, header) if key]
    keys = [key.get_secret_value().encode() for key in settings.api_keys]
    # All pairs are compared, so that the time does not tell which key came close.
    if sum(hmac.compare_digest(key, one) for key in keys for one in given) == 0:
        raise errors.Unauthorized


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
    pipeline = request.app.state.engine.pipeline
    settings: Settings = request.app.state.settings
    return schemas.Info(
        model=schemas.Model(name=pipeline.name, revision=pipeline.revision),
        card=pipeline.card,
        device=str(pipeline.device),
        dtype=dtype_name(pipeline.dtype),
        sample_rate=pipeline.sample_rate,
        frame_s=pipeline.frame_s,
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


def version() -> str:
    """The installed version of this package."""
    try:
        return metadata.version("audiodiff")
    except metadata.PackageNotFoundError:
        return "not installed"
