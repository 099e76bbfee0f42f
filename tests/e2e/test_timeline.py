"""POST /timeline as its clients meet it: forms of the answer, bounds, and clients that leave."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import srt
import torch
import webvtt

from service import schemas
from tests.support.audio import by_soundfile
from tests.support.captioner import FakeCaptioner
from tests.support.client import WAIT_S, Client, assert_problem, eventually, multipart
from tests.support.process import decoders
from tests.support.threaded import in_thread
from tests.support.tones import RATE, ToneCaptioner, recording

NDJSON, VTT, SRT = "application/x-ndjson", "text/vtt", "application/x-subrip"
PLACED = (("Dog", 3.0, 5.0), ("Rain", 12.0, 25.0))
SAID = ["a dog is heard", "a rain is heard"]
FILE = by_soundfile(recording(30.0, *PLACED), RATE)
LONG = by_soundfile(recording(900.0, *PLACED), RATE, "FLAC")


class Service(Client):
    """A server in a thread, and the captioner behind it."""

    def __init__(self, captioner: FakeCaptioner, address: str) -> None:
        super().__init__(address)
        self.captioner = captioner

    def timeline(self, file: bytes, accept: str = "*/*", **options: object) -> httpx.Response:
        return self.http.post(
            "/timeline", files={"file": ("a", file)}, data=options, headers={"Accept": accept}
        )


@contextmanager
def running(captioner: FakeCaptioner | None = None, **settings: Any) -> Iterator[Service]:
    captioner = captioner or ToneCaptioner()
    with in_thread(captioner, **settings) as port:
        service = Service(captioner, f"http://127.0.0.1:{port}")
        with service.http:
            eventually(lambda: service.http.get("/readyz").status_code == 200)
            yield service


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    with running(max_timeline_seconds=1000, max_timeline_mb=40) as service:
        yield service


# -- answers ----------------------------------------------------------------------------------


def test_json(shared: Service) -> None:
    response = shared.timeline(FILE)
    assert response.status_code == 200, response.text
    body = response.json()
    assert schemas.TimelineResponse(**body).model_dump() == body
    assert [entry["caption"] for entry in body["entries"]] == SAID
    for entry, (kind, start, end) in zip(body["entries"], PLACED, strict=True):
        assert entry["sounds"] == [{"label": kind, "score": pytest.approx(1.0)}]
        assert entry["start_s"] == pytest.approx(start, abs=0.32)
        assert entry["end_s"] == pytest.approx(end, abs=0.32)
    assert list(body)[-1] == "summary"
    assert body["summary"] == "Heard in 30 s: rain (13 s) and dog (2 s)."
    assert body["audio"]["duration_s"] == 30.0
    assert body["model"] == {"name": "fake", "revision": "0123abcd"}
    assert body["id"] == response.headers["x-request-id"]
    assert shared.metric("audio_seconds_total", endpoint="/timeline") >= 30


def test_lines_come_while_it_is_worked_on(shared: Service) -> None:
    captioner = shared.captioner
    with shared.http.stream(
        "POST", "/timeline", files={"file": ("a", LONG)}, headers={"Accept": NDJSON}
    ) as response:
        assert response.headers["content-type"].startswith(NDJSON)
        assert response.headers["x-accel-buffering"] == "no"
        lines = response.iter_lines()
        told = [json.loads(next(lines)) for _ in range(4)]
        captioner.gate.clear()  # the rest is not heard before these are seen
        assert SAID[0] in [line.get("caption") for line in told]
        captioner.gate.set()
        told += map(json.loads, lines)
    assert [line["caption"] for line in told if "caption" in line] == SAID
    heard = [line["heard_s"] for line in told if "heard_s" in line]
    assert heard == sorted(heard)
    assert heard[-1] > 880
    body = shared.timeline(LONG).json()
    assert set(told[-1]) == set(body) - {"entries"}
    assert told[-1]["summary"] == body["summary"]


def test_subtitles(shared: Service) -> None:
    answer = shared.timeline(FILE, VTT, sentence_case=True)
    assert answer.headers["content-type"].startswith(VTT)
    assert [one.text for one in webvtt.from_string(answer.text)] == ["[Dog heard]", "[Rain heard]"]
    assert "NOTE Heard in 30 s" in answer.text
    answer = shared.timeline(FILE, SRT)
    assert answer.headers["content-type"].startswith(SRT)
    assert [one.content for one in srt.parse(answer.text)] == ["[dog heard]", "[rain heard]"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("text/html, */*", "application/json"),
        (f"{VTT};q=0.4, application/json;q=0.8", "application/json"),
        (f"application/json;q=0.1, {VTT};charset=utf-8", VTT),
        (f"{VTT};q=0, {SRT};q=much", "application/json"),
    ],
)
def test_the_client_chooses(shared: Service, accept: str, kind: str) -> None:
    assert shared.timeline(FILE, accept).headers["content-type"].startswith(kind)


def test_a_file_that_ends_in_the_middle_says_so(shared: Service) -> None:
    cut = FILE[: len(FILE) // 2]
    body = shared.timeline(cut).json()
    assert [entry["caption"] for entry in body["entries"]] == SAID
    assert body["entries"][-1]["end_s"] == pytest.approx(15.0, abs=0.4)
    warning = "The file ends at 15 s of 30 s: the rest is not heard."
    assert body["audio"]["warnings"] == [warning]
    assert f"NOTE {warning}\n" in shared.timeline(cut, VTT).text


def test_a_name_and_a_small_file_are_not_needed(shared: Service) -> None:
    small = by_soundfile(recording(0.2), RATE)
    body = shared.http.post(
        "/timeline",
        content=multipart(file=small),
        headers={"content-type": "multipart/form-data; boundary=xx"},
    ).json()
    assert body["entries"] == []
    assert body["summary"] == "Nothing is heard in 1 s."


# -- refusals ---------------------------------------------------------------------------------


def test_what_is_refused(shared: Service) -> None:
    for accept in ("*/*", NDJSON, VTT):
        assert_problem(shared.timeline(b"", accept), 400)
        assert_problem(shared.timeline(b"no sound", accept), 415)
        too_long = by_soundfile(recording(1010.0), RATE)
        assert_problem(shared.timeline(too_long, accept), 422, says="longer than 1000 s")
    assert_problem(shared.timeline(bytes(41 << 20)), 413)
    assert_problem(shared.timeline(FILE, num_captions=2), 422, says="num_captions")
    assert_problem(shared.timeline(FILE, num_beams=99), 422, says="num_beams")
    assert not decoders()


def test_a_model_without_sounds_says_so() -> None:
    with running(FakeCaptioner()) as service:
        assert_problem(service.timeline(FILE), 422, says="knows no kinds of sound")


def test_one_at_a_time_and_short_requests_beside_it() -> None:
    captioner = ToneCaptioner()
    with running(captioner, max_timelines=1) as service:
        with service.http.stream(
            "POST", "/timeline", files={"file": ("a", LONG)}, headers={"Accept": NDJSON}
        ) as response:
            next(response.iter_lines())
            assert_problem(service.timeline(FILE), 429)
        eventually(lambda: service.timeline(FILE).status_code == 200)


def test_a_model_that_dies_ends_the_lines_with_a_problem() -> None:
    class Dying(ToneCaptioner):
        def describe(self, *arguments: Any) -> Any:
            if self.described:
                raise torch.AcceleratorError("secret internals")
            return super().describe(*arguments)

    with running(Dying()) as service:
        lines = service.timeline(FILE, NDJSON).text.splitlines()
        assert json.loads(lines[-1])["problem"]["type"] == "urn:audiodiff:problem:device-died"
        assert SAID[0] in "".join(lines)
        assert_problem(service.timeline(FILE), 503)


# -- clients that leave -----------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["*/*", NDJSON])
def test_a_client_that_leaves_stops_the_work(accept: str) -> None:
    captioner = ToneCaptioner()
    captioner.gate.clear()
    body = multipart(file=LONG)
    with running(captioner) as service:
        connection = socket.create_connection(("127.0.0.1", service.http.base_url.port), WAIT_S)
        head = (
            f"POST /timeline HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n"
            f"content-type: multipart/form-data; boundary=xx\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        assert captioner.entered.acquire(timeout=WAIT_S)
        assert len(decoders()) == 1
        connection.close()
        eventually(lambda: not decoders())
        eventually(lambda: service.metric("queue_depth") == 0)
        captioner.gate.set()
        eventually(lambda: service.metric("cancelled_total") == 1)
        assert len(captioner.encoded) <= 2
        assert service.timeline(FILE).status_code == 200


# -- two recordings ---------------------------------------------------------------------------


BEFORE = by_soundfile(recording(70.0, ("Rain", 5.0, 60.0)), RATE)
AFTER = by_soundfile(recording(80.0, ("Rain", 30.0, 50.0), ("Dog", 60.0, 66.0)), RATE)


def test_a_difference_beyond_the_limit_of_clips(shared: Service) -> None:
    response = shared.difference(AFTER, BEFORE)
    assert response.status_code == 200, response.text
    body = response.json()
    assert schemas.LongDifferenceResponse(**body).model_dump() == body
    (dog,) = body["only"]["input"]
    assert (dog["caption"], dog["sounds"][0]["label"]) == ("a dog is heard", "Dog")
    assert dog["start_s"] == pytest.approx(60.0, abs=0.32)
    assert body["only"]["reference"] == []
    for name, file in (("input", AFTER), ("reference", BEFORE)):
        alone = shared.timeline(file).json()
        assert body["timelines"][name] == {key: alone[key] for key in ("entries", "summary")}
        assert body[name] == alone["audio"]


def test_a_difference_that_is_large_goes_to_the_disk() -> None:
    with running(max_upload_mb=1) as service:
        body = service.difference(AFTER, BEFORE).json()
        assert [entry["caption"] for entry in body["only"]["input"]] == ["a dog is heard"]
        assert_problem(service.difference(AFTER, bytes(2 << 20)), 415, says="reference: ")


def test_a_caption_has_its_limit_still(shared: Service) -> None:
    assert_problem(shared.caption(AFTER), 422, says="longer than 60 s")
