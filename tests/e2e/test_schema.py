"""The OpenAPI document against the service that publishes it: generated requests, checked answers.

Schemathesis makes requests that fit the document and requests that do not, and holds each answer to
what the document says of its status, its type, its headers and its body.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema

from tests.support.audio import by_soundfile
from tests.support.captioner import clip
from tests.support.process import Process, serving
from tests.support.tones import RATE, recording

FILES = [clip(number, seconds) for number in range(4) for seconds in (0.5, 2.0)]
REFUSED = [b"", b"noise", clip(1, 99.0), clip(1, error="CorruptAudio")]
BEAMS = 4  # the fake captioner's own
POSTS = {("POST", "/caption"), ("POST", "/difference")}
LONG = {("POST", "/timeline")}
SOUNDS = [by_soundfile(recording(seconds, ("Dog", 0.5, 2.0)), RATE) for seconds in (2.0, 14.0)]
GETS = {("GET", path) for path in ("/livez", "/readyz", "/healthz", "/info", "/metrics")}


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    with serving() as process:
        yield process


@pytest.fixture(scope="module")
def document(process: Process) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{process.http.base_url}/openapi.json")


@pytest.mark.parametrize(
    ("mode", "routes"), [(GenerationMode.POSITIVE, POSTS | GETS), (GenerationMode.NEGATIVE, POSTS)]
)
def test_answers_are_as_described(
    document: BaseSchema, mode: GenerationMode, routes: set[tuple[str, str]]
) -> None:
    files = FILES if mode is GenerationMode.POSITIVE else FILES + REFUSED
    schemathesis.openapi.format("binary", st.sampled_from(files))
    check(document, routes, mode)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_on_recordings_are_as_described(mode: GenerationMode) -> None:
    files = SOUNDS if mode is GenerationMode.POSITIVE else [*SOUNDS, b"", b"noise"]
    schemathesis.openapi.format("binary", st.sampled_from(files))
    with serving("Tones") as process:
        document = schemathesis.openapi.from_url(f"{process.http.base_url}/openapi.json")
        check(document, LONG, mode, examples=15)  # each is worked on for a while


def check(
    document: BaseSchema,
    routes: set[tuple[str, str]],
    mode: GenerationMode,
    examples: int = 60,
) -> None:
    operations = [result.ok() for result in document.get_all_operations()]
    named = {(operation.method.upper(), operation.path): operation for operation in operations}
    assert {*named} == POSTS | LONG | GETS
    for route in sorted(routes):
        statuses = called(named[route], mode, examples)
        assert (200 in statuses) == (mode is GenerationMode.POSITIVE), (route, statuses)


def called(operation: APIOperation, mode: GenerationMode, examples: int) -> set[int]:
    """The statuses of its answers, each of which was as described."""
    statuses = set()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: schemathesis.Case) -> None:
        assume(not isinstance(case.body, dict) or told(case.body, mode))
        statuses.add(case.call_and_validate().status_code)

    call()
    return statuses


def told(body: dict[str, object], mode: GenerationMode) -> bool:
    """Whether the document tells how this body is to be answered."""
    if mode is GenerationMode.NEGATIVE:  # a form cannot send an empty list, and "" says nothing
        return not any(value in ([], "") for value in body.values())
    captions, beams = body.get("num_captions", 1), body.get("num_beams", BEAMS)
    assert isinstance(captions, int)
    assert isinstance(beams, int)
    tiers = not body.get("detail") or body.get("style") == "explain"
    return captions <= beams and tiers  # a bound on one field by another is beyond JSON Schema
