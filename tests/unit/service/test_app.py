"""What can be seen of the app without serving it: the OpenAPI document, tables, logs, metrics."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from engine import errors as engine_errors
from engine.answer import Answer
from model import errors as model_errors
from model.types import Caption, Change, Description, Interval, Segment, Sound, SourceInfo
from service import problems, schemas
from service.app import create_app
from service.logging import ConsoleFormatter, JsonFormatter
from service.metrics import Metrics
from service.middleware import Record
from service.settings import Settings
from tests.support.captioner import FakeCaptioner


@pytest.fixture
def app() -> FastAPI:
    return create_app(Settings(), FakeCaptioner())


# -- problems ---------------------------------------------------------------------------------


def _below(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(leaf for sub in kind.__subclasses__() for leaf in _below(sub))]


def test_every_audio_error_is_the_clients() -> None:
    for kind in _below(model_errors.AudioError):
        assert 400 <= problems.problem_type(kind("x")).status < 500, kind


def test_every_error_of_the_engine_has_a_problem_of_its_own() -> None:
    kinds = _below(engine_errors.EngineError)[1:]
    assert engine_errors.QueueFull in kinds
    assert set(kinds) <= set(problems.TABLE)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (model_errors.EmptyAudio, 400),
        (model_errors.AudioTooLarge, 413),
        (model_errors.UnsupportedFormat, 415),
        (model_errors.CorruptAudio, 422),
        (model_errors.AudioTooShort, 422),
        (model_errors.AudioTooLong, 422),
        (model_errors.OptionsError, 422),
        (model_errors.CheckpointError, 500),
        (ZeroDivisionError, 500),
    ],
)
def test_an_errors_status(kind: type[Exception], status: int) -> None:
    assert problems.problem_type(kind("x")).status == status


def test_slugs_are_distinct() -> None:
    slugs = [known.slug for known in problems.TABLE.values()]
    assert len(set(slugs)) == len(slugs)


# -- OpenAPI ----------------------------------------------------------------------------------


def test_each_route_has_a_worked_example_that_fits_its_schema(app: FastAPI) -> None:
    document = app.openapi()
    kinds = {
        "/caption": schemas.CaptionResponse,
        "/difference": schemas.DifferenceResponse,
        "/timeline": schemas.TimelineResponse,
        "/livez": schemas.Health,
        "/readyz": schemas.Health,
        "/healthz": schemas.Health,
        "/info": schemas.Info,
    }
    assert set(document["paths"]) == {*kinds, "/metrics"}
    for path, kind in kinds.items():
        (operation,) = document["paths"][path].values()
        content = operation["responses"]["200"]["content"]["application/json"]
        several = content.get("examples", {"one": {"value": content.get("example")}})
        worked = [example["value"] for example in several.values()]
        assert all(kind.model_validate(it, strict=True, extra="forbid") for it in worked)
        assert set().union(*worked) == set(kind.model_fields)
    metrics = document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    assert metrics["text/plain"]["example"].startswith("audiodiff_requests_total{")


def test_each_problem_of_a_route_has_an_example(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    for path in ("/caption", "/difference", "/timeline"):
        responses = paths[path]["post"]["responses"]
        found = set()
        for status, response in responses.items():
            for slug, example in (
                response["content"].get(problems.MEDIA_TYPE, {}).get("examples", {}).items()
            ):
                problem = schemas.Problem.model_validate(example["value"], extra="forbid")
                assert str(problem.status) == status
                assert problem.type.endswith(slug)
                found.add(slug)
        none = {problems.CLIENT_GONE, *(["no-room"] if path == "/caption" else [])}
        assert found == {known.slug for known in problems.TABLE.values()} - none
        assert {"400", "401", "413", "415", "422", "429", "500", "503", "504"} < set(responses)
    assert set(paths["/readyz"]["get"]["responses"]) == {"200", "503"}


def test_the_body_is_described_though_the_route_reads_it_itself(app: FastAPI) -> None:
    body = app.openapi()["paths"]["/difference"]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    assert set(schema["required"]) == {"input", "reference"}
    assert schema["properties"]["input"]["format"] == "binary"
    assert schema["properties"]["num_beams"]["maximum"] == 8
    assert schema["additionalProperties"] is False


def test_the_document_says_the_default_of_each_option(app: FastAPI) -> None:
    """Swagger's form sends the least value of a field that has no default."""
    for path, more in (("/caption", {}), ("/difference", {"both": False, "style": "rest"})):
        body = app.openapi()["paths"][path]["post"]["requestBody"]
        schema = body["content"]["multipart/form-data"]["schema"]
        defaults = {name: it["default"] for name, it in schema["properties"].items()
                    if it.get("format") != "binary"}  # fmt: skip
        own = FakeCaptioner.defaults
        assert defaults == {
            "num_beams": own.num_beams,
            "num_captions": 1,
            "max_new_tokens": own.max_new_tokens,
            "events": False,
            **more,
        }


def test_keys_are_in_the_document_only_where_they_are_asked_for(app: FastAPI) -> None:
    assert "security" not in app.openapi()["paths"]["/caption"]["post"]
    guarded = create_app(Settings(api_keys="k"), FakeCaptioner()).openapi()
    assert len(guarded["paths"]["/caption"]["post"]["security"]) == 2
    assert "security" not in guarded["paths"]["/readyz"]["get"]


def test_an_answer_has_each_field_of_its_response() -> None:
    source = SourceInfo(1.0, 44_100, 2, "wav")
    captions = (Caption("a dog", -0.5, 3), Caption("a cat", -0.75, 3))
    sounds = (Sound("Dog", 0.5, (Interval(0.0, 0.5),)),)
    said = Description(captions, None, sounds)
    changes = (Change("add", "dog", 0.5),)
    heard = Description(captions, (Segment(0.0, 0.5, None),), sounds, sounds, changes)
    of_the_request = {"id": "1", "timing_ms": dict.fromkeys(schemas.Timing.model_fields, 1.0)}
    for kind, sources, descriptions in (
        (schemas.CaptionResponse, {"file": source}, [said]),
        (schemas.DifferenceResponse, {"input": source, "reference": source}, [heard, heard]),
    ):
        answer = Answer(sources, descriptions, "tiny", "0", {}, 1)
        for events in (False, True):
            body = answer.to_json(events=events) | of_the_request
            assert set(body) == set(kind.model_fields)
            assert ("events" in body["sounds"][0]) is events
            response = kind.model_validate(body, strict=True, extra="forbid")
            assert response.model_dump(exclude_unset=True) == body


# -- metrics ----------------------------------------------------------------------------------


def test_every_metric_of_the_contract_is_exposed(app: FastAPI) -> None:
    text = app.state.metrics.exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    # The parser leaves out a counter's "_total".
    contract = (
        "requests request_seconds stage_seconds batch_size batch_padding_ratio queue_depth "
        "queue_audio_seconds audio_seconds generated_tokens rejections cancelled cache_hits "
        "cache_misses differences sounds model_info model_ready device_memory_bytes decoders_ready"
    )
    assert {f"audiodiff_{name}" for name in contract.split()} <= set(families)
    assert "process_resident_memory_bytes" in families
    (info,) = families["audiodiff_model_info"].samples
    assert info.labels == {
        "name": "fake",
        "revision": "0123abcd",
        "device": "cpu",
        "dtype": "float32",
    }


def test_apps_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.generated(5)
    assert b"audiodiff_generated_tokens_total 5.0" in one.exposition()
    assert b"audiodiff_generated_tokens_total 0.0" in other.exposition()


def test_latency_buckets_reach_from_1_ms_to_60_s() -> None:
    metrics = Metrics()
    metrics.request(Record("id", endpoint="/caption", status=200))
    text = metrics.exposition().decode()
    buckets = [
        sample.labels["le"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "audiodiff_request_seconds_bucket"
    ]
    assert (buckets[0], buckets[-2], buckets[-1]) == ("0.001", "60.0", "+Inf")


def test_padding_is_the_share_of_silence_added() -> None:
    metrics = Metrics()
    metrics.batch([1.0, 3.0, 2.0], 2)
    metrics.batch([2.0, 2.0], 0)
    assert b"audiodiff_batch_size_sum 5.0" in metrics.exposition()
    assert b"audiodiff_batch_padding_ratio_count 2.0" in metrics.exposition()
    assert b"audiodiff_batch_padding_ratio_sum 0.33333" in metrics.exposition()
    assert b"audiodiff_cache_misses_total 2.0" in metrics.exposition()
    assert b"audiodiff_cache_hits_total 3.0" in metrics.exposition()


# -- logs -------------------------------------------------------------------------------------


def _log_record(**extra: object) -> logging.LogRecord:
    record = logging.LogRecord("service", logging.INFO, "", 1, "done %d", (7,), None)
    record.__dict__.update(extra)
    return record


def test_a_json_log_line() -> None:
    line = JsonFormatter().format(_log_record(fields={"request_id": "a\nb", "status": 200}))
    assert "\n" not in line
    parsed = json.loads(line)
    assert parsed.pop("time").endswith("+00:00")
    assert parsed == {
        "level": "info",
        "logger": "service",
        "message": "done 7",
        "request_id": "a\nb",
        "status": 200,
    }


def test_a_json_log_line_holds_the_traceback() -> None:
    try:
        raise ValueError("oops")
    except ValueError:
        record = _log_record(exc_info=sys.exc_info())
    assert "ValueError: oops" in json.loads(JsonFormatter().format(record))["exception"]


def test_a_console_log_line() -> None:
    line = ConsoleFormatter().format(_log_record(fields={"status": 200, "problem": None}))
    assert line.endswith("service: done 7 status=200")
