"""The endpoints, nothing else."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

import torch
from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from engine.engine import Engine, before, dtype_name
from engine.errors import NotReady, WorkerDied
from engine.reading import Reader
from model.errors import AudioTooLong
from model.types import GenerationOptions
from service import examples, problems, schemas
from service.accept import accepted
from service.disconnect import unless_gone
from service.errors import NoRoom
from service.events import Events, streamed
from service.forms import CaptionForm, ClipForm, DifferenceForm, Form, TimelineForm
from service.keys import check_keys
from service.listening import PATH, listen
from service.metrics import Metrics
from service.middleware import Record
from service.settings import Settings
from service.timeline import SUBTITLES, Lines, ending, gathered, subtitles
from service.uploads import announced, read_form
from service.version import version

F = TypeVar("F", bound=Form)
PAIR = ("input", "reference")
SLOWEST_UPLOAD = 64 << 10
"""Bytes a second: a recording that comes more slowly is given up."""


def add_routes(app: FastAPI, settings: Settings, defaults: GenerationOptions) -> None:
    """Give the app its endpoints; keys, where there are any, guard those that compute.

    ``defaults`` are the checkpoint's, for the documentation.
    What was not asked for, as the reverse or a sound's events, stays unset and out of an answer.
    """
    inference = APIRouter(
        tags=["inference"], dependencies=[Depends(require_key)] if settings.api_keys else []
    )
    refusals = [kind for kind in problems.TABLE if kind not in (ClientDisconnect, NoRoom)]
    inference.post(
        "/caption",
        responses=_answers(examples.CAPTION, refusals),
        openapi_extra=_body(CaptionForm, defaults),
        response_model_exclude_unset=True,
    )(caption)
    inference.post(
        "/difference",
        responses=_answers(examples.DIFFERENCES, [*refusals, NoRoom], also=examples.AS_EVENTS),
        openapi_extra=_body(DifferenceForm, defaults),
        response_model=schemas.DifferenceResponse | schemas.LongDifferenceResponse,
        response_model_exclude_unset=True,
    )(difference)
    inference.post(
        "/timeline",
        responses=_answers(examples.TIMELINE, [*refusals, NoRoom], also=examples.AS_TEXT),
        openapi_extra=_body(TimelineForm, defaults),
        response_model=schemas.TimelineResponse,
    )(timeline)
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


async def difference(request: Request) -> Any:
    """Say what is heard in `input` and not in `reference`; with `both`, the reverse too.

    `curl -F input=@now.wav -F reference=@before.wav localhost:8000/difference`

    With `style=changes` the caption says instead what has changed from `reference` to `input`
    ("a dog is added and the rain is quieter"), and `changes` lists it. With `style=explain` it says
    what each has and how they compare, in as much `detail` as is asked for. With
    `Accept: text/event-stream` its words come as they are found: events `words`, and at last
    `answer`.

    Recordings longer than a clip may be, or larger, are compared by their timelines: the answer is
    both of them, and of each what is heard at no time of the other.
    """
    if accepted(request, [Events.media_type]) == Events.media_type:
        return await streamed(request, partial(_difference, request))
    return await _difference(request)


async def _difference(
    request: Request, reader: Reader | None = None
) -> schemas.DifferenceResponse | schemas.LongDifferenceResponse:
    settings: Settings = request.app.state.settings
    if announced(request, 0) > settings.max_upload_bytes:
        # What the query string says is known before the body; a field may stand behind the files.
        if (style := request.query_params.get("style")) in ("changes", "explain"):
            request.app.state.engine.check_recordings(style)
        async with AsyncExitStack() as stack:
            form = await _recordings(request, DifferenceForm, stack)
            answer = await _compare(request, form)
    else:
        answer = await _answer(request, DifferenceForm, *PAIR, reader=reader)
    kind = schemas.LongDifferenceResponse if "only" in answer else schemas.DifferenceResponse
    return kind(**answer)


async def timeline(request: Request) -> Response:
    """Say what is heard when in a recording of up to hours, and at last all of it in a sentence.

    `curl -F file=@night.flac localhost:8000/timeline`. With `Accept: application/x-ndjson` each
    entry is a line as soon as it is known; between them stand lines of `heard_s`, which say how far
    the recording is heard, and the last line is the answer without its `entries`, or a `problem`.
    With `Accept: text/vtt` or `application/x-subrip` the answer is subtitles.
    """
    engine: Engine = request.app.state.engine
    kind = accepted(request, [Lines.media_type, *SUBTITLES])
    async with AsyncExitStack() as stack:
        form = await _recordings(request, TimelineForm, stack)
        heard = engine.timeline(form.file.file, form.options)
        items = await stack.enter_async_context(aclosing(heard))
        if kind == Lines.media_type:
            first = await unless_gone(request, anext(items))
            return Lines(request, first, items, stack.pop_all())
        answer = await unless_gone(request, gathered(request, items))
    if kind in SUBTITLES:
        return subtitles(kind, answer, sentence_case=form.sentence_case)
    return JSONResponse(answer)


async def _recordings(request: Request, kind: type[F], stack: AsyncExitStack) -> F:
    """Admit long recordings and read them to a disk; ``stack`` holds them."""
    settings: Settings = request.app.state.settings
    record: Record = request.state.record
    stack.enter_context(request.app.state.engine.admit_recording())
    began, most = time.monotonic(), settings.max_timeline_bytes
    size = min(announced(request, most), most)
    deadline = record.began + settings.request_timeout_s + size / SLOWEST_UPLOAD
    async with before(deadline, "the body did not arrive in time; send it faster or smaller"):
        form = await stack.enter_async_context(read_form(request, kind, most, to_disk=True))
    record.stages["read"] = time.monotonic() - began
    return form


async def _compare(request: Request, form: DifferenceForm) -> dict[str, Any]:
    """The answer's body on two long recordings, for which a place is held."""
    engine: Engine = request.app.state.engine
    files = {field: getattr(form, field).file for field in PAIR}
    comparison = await unless_gone(request, engine.compare(files, form.options))
    sources = (one.whole.source for one in comparison.timelines.values())
    request.state.record.audio_s = sum(source.duration_s for source in sources)
    return {**comparison.to_json(), **ending(request)}


async def _answer(
    request: Request, kind: type[ClipForm], *fields: str, reader: Reader | None = None
) -> dict[str, Any]:
    """Admit, read, describe: refused before the body is read, withdrawn if the client leaves.

    The files lie in ``fields`` of the form; the result is the answer's body. Two of which one is
    longer than a clip may be are compared by their timelines.
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
        try:
            work = engine.answer(files, form.options, deadline, both, reader)
            answer = await unless_gone(request, work)
        except AudioTooLong:
            if not isinstance(form, DifferenceForm):
                raise
            stack.enter_context(engine.admit_recording())
            return await _compare(request, form)
    record.stages.update(answer.stages)
    record.batch_size = answer.batch_size
    record.style = form.style if isinstance(form, DifferenceForm) else None
    record.audio_s = sum(source.duration_s for source in answer.sources.values())
    times = {**answer.stages, "total": record.seconds}
    timing = {stage: round(seconds * 1000, 3) for stage, seconds in times.items()}
    return {**answer.to_json(events=form.events), "id": record.id, "timing_ms": timing}


def _answers(
    example: object,
    refusals: Collection[type[Exception]] = (),
    media_type: str = "application/json",
    also: Mapping[str, str] = MappingProxyType({}),
) -> dict[int | str, dict[str, Any]]:
    """What a route answers, for OpenAPI: an example of success, and of each problem.

    ``also`` are the same in other media types.
    """
    shown = {media_type: example, **also}
    content = {
        kind: {"examples": one} if isinstance(one, examples.Several) else {"example": one}
        for kind, one in shown.items()
    }
    success = {"description": "Success", "content": content}
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
        styles={
            style: schemas.Model(name=name, revision=revision)
            for style, (name, revision) in captioner.styles.items()
        },
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
