"""The service as its clients meet it: a real server, real sockets, and a fake captioner."""

from __future__ import annotations

import itertools
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from tests.support.captioner import FATAL, OUT_OF_MEMORY, POISON, FakeCaptioner, clip
from tests.support.client import WAIT_S, Client, assert_problem, eventually, multipart
from tests.support.process import Process, serving
from tests.support.threaded import in_thread

JSON = {"sample_rate": 44100, "channels": 2, "format": "json", "warnings": []}


class Service(Client):
    """A server in a thread, and the fake captioner behind it."""

    def __init__(self, captioner: FakeCaptioner, port: int) -> None:
        super().__init__(f"http://127.0.0.1:{port}")
        self.captioner = captioner
        self._unlike = itertools.count(1)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """The model thread is stopped with clip 1 while the block runs."""
        self.captioner.gate.clear()
        while self.captioner.entered.acquire(blocking=False):
            pass  # earlier batches
        file = clip(1) + b" " * next(self._unlike)  # the cache must not know it
        answer = Later(lambda: self.caption(file))
        assert self.captioner.entered.acquire(timeout=WAIT_S)
        try:
            yield
        finally:
            self.captioner.gate.set()
            assert answer.get().status_code == 200


class Later:
    """A call in a thread."""

    def __init__(self, call: Callable[[], httpx.Response]) -> None:
        self._result: list[httpx.Response] = []
        self._thread = threading.Thread(target=lambda: self._result.append(call()), daemon=True)
        self._thread.start()

    def get(self) -> httpx.Response:
        self._thread.join(WAIT_S)
        return self._result[0]


@contextmanager
def running(captioner: FakeCaptioner | None = None, **settings: Any) -> Iterator[Service]:
    """A service of its own, with its own settings."""
    captioner = captioner or FakeCaptioner()
    with in_thread(captioner, **settings) as port:
        service = Service(captioner, port)
        with service.http:
            if captioner.warm.is_set():
                eventually(lambda: service.http.get("/readyz").status_code == 200)
            yield service


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    """One open service for tests that leave no trace."""
    with running(max_upload_mb=1, max_audio_seconds=20) as service:
        yield service


# -- answers ----------------------------------------------------------------------------------


def test_caption(shared: Service) -> None:
    response = shared.caption(clip(7, 2.5), num_beams=4, num_captions=3)
    assert response.status_code == 200
    body = response.json()
    timing = body.pop("timing_ms")
    assert body == {
        "id": response.headers["x-request-id"],
        "caption": "sound 7",
        "score": -0.25,
        "truncated": False,
        "alternatives": [
            {"caption": "sound 7, take 1", "score": -0.5, "truncated": False},
            {"caption": "sound 7, take 2", "score": -0.75, "truncated": False},
        ],
        "sounds": [{"label": "Dog", "score": 0.87}, {"label": "Rain", "score": 0.41}],
        "audio": {**JSON, "duration_s": 2.5},
        "model": {"name": "fake", "revision": "0123abcd"},
    }
    assert set(timing) == {"decode", "queue", "encode", "generate", "total"}
    assert all(value >= 0 for value in timing.values())
    assert timing["total"] >= timing["decode"] + timing["encode"] + timing["generate"]


def test_options_reach_the_model(shared: Service) -> None:
    shared.caption(clip(7), num_beams=5, num_captions=2, max_new_tokens=9)
    _, options = shared.captioner.described[-1]
    assert (options.num_beams, options.num_captions, options.max_new_tokens) == (5, 2, 9)
    shared.caption(clip(7))
    _, options = shared.captioner.described[-1]
    assert (options.num_beams, options.num_captions, options.max_new_tokens) == (None, 1, None)


def test_options_may_stand_in_the_query_string(shared: Service) -> None:
    file = {"file": ("a", clip(7))}
    query = {"num_beams": "5", "events": "true"}
    answer = shared.http.post("/caption", params=query, files=file, data={"num_captions": "2"})
    assert "events" in answer.json()["sounds"][0]
    _, options = shared.captioner.described[-1]
    assert (options.num_beams, options.num_captions) == (5, 2)
    pair = {"input": ("a", clip(18)), "reference": ("b", clip(19))}
    assert "reverse" in shared.http.post("/difference?both=true", files=pair).json()


@pytest.mark.parametrize(
    ("query", "form", "says"),
    [
        ("num_beams=99", {}, "num_beams: Input should be less than or equal to 8"),
        ("nun_beams=2", {}, "nun_beams: "),
        ("file=a.wav", {}, "file: given more than once"),
        ("num_beams=2", {"num_beams": "2"}, "num_beams: given more than once"),
        ("num_beams=2&num_beams=2", {}, "num_beams: given more than once"),
    ],
)
def test_a_query_that_is_wrong_is_named(
    shared: Service, query: str, form: dict[str, str], says: str
) -> None:
    file = {"file": ("a", clip(1))}
    assert_problem(shared.http.post(f"/caption?{query}", files=file, data=form), 422, says=says)


def test_an_option_without_a_value_is_not_given(shared: Service) -> None:
    empty = {"num_beams": "", "num_captions": "", "max_new_tokens": "", "events": "", "both": ""}
    assert shared.difference(clip(18), clip(19), **empty).status_code == 200
    _, options = shared.captioner.described[-1]
    assert (options.num_beams, options.num_captions, options.max_new_tokens) == (None, 1, None)
    response = shared.http.post("/caption?num_beams=&events", files={"file": ("a", clip(1))})
    assert response.status_code == 200
    assert_problem(shared.caption(clip(1), surprise=""), 422, says="surprise: ")


def test_what_the_documentation_fills_in_is_what_holds_without_it(shared: Service) -> None:
    operation = shared.http.get("/openapi.json").json()["paths"]["/caption"]["post"]
    schema = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = {name: it["default"] for name, it in schema["properties"].items() if name != "file"}
    form = {name: json.dumps(value) for name, value in fields.items()}
    assert shared.caption(clip(7), **form).status_code == 200
    assert shared.captioner.described[-1][1] == shared.captioner.defaults


@pytest.mark.parametrize("disposition", ["", "; filename*=UTF-8''a%20b.wav", '; filename=""'])
def test_a_file_needs_no_name(shared: Service, disposition: str) -> None:
    file = clip(7) + b" " * 5000
    named = multipart(file=file)
    body = named.replace(b'; filename="a"', disposition.encode())
    assert body != named
    response = shared.http.post("/caption", headers=MULTIPART, content=body)
    assert response.json()["caption"] == "sound 7"
    wrong = shared.http.post("/caption", headers=MULTIPART, content=body.replace(b"file", b"clip"))
    assert_problem(wrong, 422, says="clip: ")


def test_difference(shared: Service) -> None:
    response = shared.difference(clip(8, 2.0), clip(9, 1.0))
    assert response.status_code == 200
    body = response.json()
    assert set(body.pop("timing_ms")) == {"decode", "queue", "encode", "generate", "total"}
    assert body == {
        "id": response.headers["x-request-id"],
        "caption": "sound 8 without 9",
        "score": -0.25,
        "truncated": False,
        "alternatives": [],
        "sounds": [{"label": "Dog", "score": 0.87}],
        "timeline": [
            {"start_s": 0.0, "end_s": 0.5, "kept": 0.75},
            {"start_s": 0.5, "end_s": 1.0, "kept": None},
        ],
        "shared": [{"label": "Rain", "score": 0.41}],
        "input": {**JSON, "duration_s": 2.0},
        "reference": {**JSON, "duration_s": 1.0},
        "model": {"name": "fake", "revision": "0123abcd"},
    }
    assert sorted(shared.captioner.encoded[-1]) == [8, 9], "one batch"


def test_changes(shared: Service) -> None:
    body = shared.difference(clip(8, 2.0), clip(9, 1.0), style="changes", both="true").json()
    one = {"operation": "add", "sound": "dog", "confidence": 0.4317}
    for direction in (body, body["reverse"]):
        assert (direction["caption"], direction["changes"]) == ("a dog is added", [one])
    assert body["model"] == {"name": "other", "revision": "4567ef01"}
    same = shared.difference(clip(8), clip(8), style="changes").json()
    assert (same["caption"], same["changes"]) == ("nothing has changed", [])


def test_no_other_style_tells_of_changes(shared: Service) -> None:
    assert "changes" not in shared.difference(clip(8), clip(9), style="rest").json()
    assert_problem(shared.difference(clip(8), clip(9), style="words"), 422, says="style")
    assert_problem(shared.caption(clip(8), style="changes"), 422, says="style")


def test_changes_are_of_clips_that_are_short_together(shared: Service) -> None:
    assert shared.difference(clip(8, 14.0), clip(9, 15.0), style="changes").status_code == 200
    response = shared.difference(clip(8, 17.0), clip(9, 15.0), style="changes")
    assert_problem(response, 422, says="together")
    long = shared.difference(clip(8, 21.0), clip(9, 1.0), style="changes")
    assert_problem(long, 422, says="send shorter ones")
    with closing(shared.send(length=2 << 20, path="/difference?style=changes")) as connection:
        assert b" 422 " in connection.recv(4096), "before its body is read"
    assert shared.difference(clip(8, 17.0), clip(9, 15.0)).status_code == 200


def test_explanations_have_tiers(shared: Service) -> None:
    for detail in ("words", "sentence", "paragraph"):
        body = shared.difference(clip(8), clip(9), style="explain", detail=detail).json()
        assert body["caption"] == f"{detail}: the first has 8, the second has 9"
        assert body["model"] == {"name": "third", "revision": "89ab2345"}
        assert "changes" not in body
    body = shared.difference(clip(8), clip(9), style="explain", both="true").json()
    assert body["reverse"]["caption"] == "sentence: the first has 9, the second has 8"
    response = shared.difference(clip(8), clip(9), detail="words")
    assert_problem(response, 422, says="style explain")
    empty = shared.difference(clip(8), clip(9), detail="")
    assert empty.status_code == 200, "as not given"
    assert_problem(shared.caption(clip(8), detail="words"), 422, says="detail")


def stream(service: Service, one: bytes, other: bytes, **options: str) -> Any:
    """To be entered: POST /difference, answered by events."""
    return service.http.stream(
        "POST",
        "/difference",
        files={"input": ("a", one), "reference": ("b", other)},
        data=options,
        headers={"accept": "text/event-stream"},
    )


def test_words_come_as_they_are_found() -> None:
    with running() as service:
        service.captioner.reading.clear()
        with stream(service, clip(8), clip(9), style="explain") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.iter_lines()
            assert [next(lines) for _ in range(3)] == [
                "event: words", 'data: {"text": "sentence:"}', ""
            ]  # fmt: skip
            service.captioner.reading.set()
            *words, _ = "\n".join(lines).split("event: answer")
            said = re.findall(r'{"text": "(.*)"}', "".join(words))
            assert "".join(said) == " the first has 8, the second has 9"


@pytest.mark.parametrize("style", ["rest", "changes"])
def test_other_styles_come_as_events_too(shared: Service, style: str) -> None:
    body = shared.difference(clip(8), clip(9), style=style).json()
    with stream(shared, clip(8), clip(9), style=style) as response:
        text = response.read().decode()
    answer = json.loads(text.partition("event: answer\ndata: ")[2])
    assert (answer["caption"], answer["sounds"]) == (body["caption"], body["sounds"])


def test_what_fails_before_the_first_word_is_a_problem_document(shared: Service) -> None:
    for files, status in (((clip(8), b"no audio"), 415), ((clip(8), b""), 400)):
        with stream(shared, *files, style="explain") as response:
            response.read()
            assert_problem(response, status)
    with stream(shared, clip(8), clip(9), detail="words") as response:
        response.read()
        assert_problem(response, 422, says="style explain")


def test_for_a_client_that_leaves_no_more_words_are_searched() -> None:
    with running() as service:
        service.captioner.reading.clear()
        with stream(service, clip(8), clip(9), style="explain") as response:
            assert next(response.iter_lines()) == "event: words"
            # Else it may be gone before whoever told it the first word learns that it is to go on.
            eventually(lambda: bool(service.captioner.read))
        eventually(lambda: service.metric("cancelled_total") == 1)
        service.captioner.reading.set()
        assert service.difference(clip(8), clip(9)).status_code == 200
        assert service.captioner.read == ["sentence:"]


def test_both_directions(shared: Service) -> None:
    body = shared.difference(clip(8), clip(9), both="true", num_captions=2).json()
    assert body["caption"] == "sound 8 without 9"
    reverse = body["reverse"]
    said = {"caption", "score", "truncated", "alternatives", "sounds", "timeline"}
    assert set(reverse) == said
    assert reverse["caption"] == "sound 9 without 8"
    [alternative] = reverse["alternatives"]
    assert (alternative["caption"], alternative["score"]) == ("sound 9 without 8, take 1", -0.5)
    assert len(reverse["timeline"]) == 2


def test_sounds_say_when_they_are_heard_if_asked(shared: Service) -> None:
    dog = {"label": "Dog", "score": 0.87, "events": [{"start_s": 0.0, "end_s": 0.5}]}
    twice = [{"start_s": 0.0, "end_s": 0.25}, {"start_s": 0.5, "end_s": 1.0}]
    rain = {"label": "Rain", "score": 0.41, "events": twice}
    assert shared.caption(clip(7), events="true").json()["sounds"] == [dog, rain]
    body = shared.difference(clip(8), clip(9), both="true", events="true").json()
    assert (body["sounds"], body["shared"], body["reverse"]["sounds"]) == ([dog], [rain], [dog])


def test_files_of_more_than_a_mebibyte() -> None:
    padded = clip(11) + b" " * (1024 * 1024 - 2000)
    with running(max_upload_mb=3) as service:
        response = service.difference(padded, clip(12) + b" " * 1_500_000)
    assert response.json()["caption"] == "sound 11 without 12"


# -- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("EmptyAudio", 400),
        ("AudioTooLarge", 413),
        ("UnsupportedFormat", 415),
        ("CorruptAudio", 422),
        ("AudioTooShort", 422),
        ("AudioTooLong", 422),
    ],
)
def test_a_file_that_cannot_be_used(shared: Service, error: str, status: int) -> None:
    assert_problem(shared.caption(clip(1, error=error)), status, "file: as the file asks")
    assert_problem(
        shared.difference(clip(1), clip(2, error=error)), status, "reference: as the file asks"
    )


def test_limits_reach_the_decoder(shared: Service) -> None:
    assert_problem(shared.caption(clip(1, seconds=21)), 422, says="longer than 20.0 s")


def test_an_empty_file(shared: Service) -> None:
    response = shared.http.post("/caption", files={"file": ("a.wav", b"")})
    assert_problem(response, 400, says="file: the file is empty")


def test_bytes_that_are_no_audio(shared: Service) -> None:
    assert_problem(shared.caption(b"\x00\xff garbage"), 415, says="send WAV")


MULTIPART = {"content-type": "multipart/form-data; boundary=xx"}
WHOLE = multipart(file=clip(1))


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({}, b"hello"),
        ({"content-type": "multipart/form-data"}, WHOLE),
        (MULTIPART, b"no boundary here"),
        (MULTIPART, b""),
        (MULTIPART, WHOLE[:-10]),
        (MULTIPART, WHOLE.replace(b'name="file"; ', b"")),
        (MULTIPART, b'--xx\r\nContent-Disposition: form-data; name="n"\r\n\r\n' * 40),
    ],
    ids=["json", "none", "no-boundary", "garbage", "empty", "cut", "no-name", "many"],
)
def test_a_malformed_body(shared: Service, headers: dict[str, str], body: bytes) -> None:
    assert shared.http.post("/caption", headers=MULTIPART, content=WHOLE).status_code == 200
    assert_problem(shared.http.post("/caption", headers=headers, content=body), 400)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_beams", "0"),
        ("num_beams", "9"),
        ("num_beams", "many"),
        ("num_captions", "0"),
        ("num_captions", "9"),
        ("max_new_tokens", "0"),
        ("max_new_tokens", "301"),
        ("max_new_tokens", "1.5"),
        ("events", "when"),
        ("nun_beams", "1"),
    ],
)
def test_a_field_that_is_wrong_is_named(shared: Service, field: str, value: str) -> None:
    assert_problem(shared.caption(clip(1), **{field: value}), 422, says=f"{field}: ")


def test_more_captions_than_beams(shared: Service) -> None:
    assert_problem(shared.caption(clip(1), num_beams=2, num_captions=3), 422, says="num_captions: ")
    # Only the checkpoint knows its own beams.
    assert_problem(shared.caption(clip(1), num_captions=8), 422, says="at most 4")


def test_parts_that_are_missing_doubled_or_no_files(shared: Service) -> None:
    file = ("a.json", clip(1))
    post = shared.http.post
    assert_problem(post("/caption", files={"other": file}), 422, says="file: Field required")
    assert_problem(
        post("/difference", files={"input": file}), 422, says="reference: Field required"
    )
    assert_problem(post("/caption?file=a.wav", files={"x": file}), 422, says="send it as a file")
    doubled = post("/caption", files=[("file", file), ("file", file)])
    assert_problem(doubled, 422, says="file: given more than once")
    assert_problem(
        post("/difference", files={"file": file}, data={"both": "x"}), 422, says="both: "
    )


def test_no_such_path_or_method(shared: Service) -> None:
    assert_problem(shared.http.get("/nowhere"), 404)
    response = shared.http.get("/caption")
    assert_problem(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/caption/", "/livez/", "/docs/"])
def test_no_slash_is_added_or_taken_off(shared: Service, path: str) -> None:
    assert_problem(shared.http.get(path, follow_redirects=False), 404)


def test_a_fault_of_our_own_tells_nothing_and_harms_no_neighbour(
    shared: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with shared.occupied():
        answers = {
            number: Later(lambda number=number: shared.caption(clip(number)))  # type: ignore[misc]
            for number in (2, POISON, 3, OUT_OF_MEMORY)
        }
        eventually(lambda: shared.metric("queue_depth") == 4)
    problem = assert_problem(answers[POISON].get(), 500, says="request id")
    assert "secret" not in json.dumps(problem)
    assert "secret internals" in caplog.text, "it is in the log, with its traceback"
    assert "secret" not in json.dumps(assert_problem(answers[OUT_OF_MEMORY].get(), 503))
    assert answers[2].get().json()["caption"] == "sound 2"
    assert answers[3].get().json()["caption"] == "sound 3"


def test_a_large_body_is_refused_by_its_header_alone(shared: Service) -> None:
    with closing(shared.send(length=2_000_000)) as connection:
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_large_body_is_cut_off_while_it_streams(shared: Service) -> None:
    start = WHOLE[:70]
    with closing(shared.send(chunked=True)) as connection:
        for data in (start, *[b"x" * 65536] * 17):
            connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        assert connection.recv(12) == b"HTTP/1.1 413"  # and the body has not ended


def test_a_large_body_whose_client_only_listens_at_the_end(shared: Service) -> None:
    assert_problem(shared.caption(b"x" * 8_000_000), 413, says="larger than 1 MiB")


def test_a_full_queue_refuses_before_the_body() -> None:
    with running(max_queue=1) as service:
        with service.occupied():
            problem = assert_problem(service.caption(clip(1)), 429)
            assert problem["title"] == "Queue full"
            with closing(service.send(length=100)) as connection:
                assert connection.recv(12) == b"HTTP/1.1 429"
        assert service.caption(clip(1)).status_code == 200
        assert service.metric("rejections_total", reason="queue-full") == 2


def test_too_many_seconds_in_the_queue() -> None:
    with running(max_queue_seconds=10) as service:
        with service.occupied():
            queued = Later(lambda: service.caption(clip(2, 8.0)))
            eventually(lambda: service.metric("queue_audio_seconds") == 8.0)
            assert_problem(service.caption(clip(3, 4.0)), 429, says="audio")
        assert queued.get().status_code == 200


def test_a_deadline_that_passes_in_the_queue() -> None:
    with running(request_timeout_s=0.5) as service:
        with service.occupied():
            assert_problem(service.caption(clip(2)), 504)
        assert service.captioner.encoded == [[1]]


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with (
        running(request_timeout_s=0.2) as service,
        closing(service.send(WHOLE[:60], 500)) as connection,
    ):
        assert connection.recv(12) == b"HTTP/1.1 504"


def test_a_client_that_leaves_is_not_computed() -> None:
    with running() as service:
        with service.occupied():
            leaver = service.send(multipart(file=clip(2)))
            eventually(lambda: service.metric("queue_depth") == 1)
            leaver.close()
            eventually(lambda: service.metric("cancelled_total") == 1)
            assert service.metric("queue_depth") == 0
            half = service.send(WHOLE[:60], len(WHOLE))
            half.close()
            eventually(lambda: service.metric("cancelled_total") == 2)
        assert service.captioner.encoded == [[1]]
        assert service.metric("requests_total", status="499") == 2
        assert service.metric("rejections_total") == 0


def test_slow_senders_hold_up_nobody() -> None:
    with running() as service:
        half = [service.send(WHOLE[:60], len(WHOLE)) for _ in range(64)]
        assert service.caption(clip(5)).json()["caption"] == "sound 5"
        for connection in half:
            connection.sendall(WHOLE[60:])
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.close()


# -- headers ----------------------------------------------------------------------------------


def test_request_ids(shared: Service) -> None:
    theirs = shared.http.get("/livez", headers={"x-request-id": "job-42/a.1"})
    assert theirs.headers["x-request-id"] == "job-42/a.1"
    for strange in ("x" * 129, "two words", 'quote"', ""):
        ours = shared.http.get("/livez", headers={"x-request-id": strange})
        assert re.fullmatch("[0-9a-f]{32}", ours.headers["x-request-id"])
    ids = {shared.http.get(path).headers["x-request-id"] for path in ("/livez", "/x", "/docs")}
    assert len(ids) == 3


def test_server_timing(shared: Service) -> None:
    stages = re.findall(r"(\w+);dur=[\d.]+", shared.caption(clip(1)).headers["server-timing"])
    assert stages == ["read", "decode", "queue", "encode", "generate", "total"]
    assert shared.http.get("/nowhere").headers["server-timing"].startswith("total;dur=")


def test_api_keys() -> None:
    with running(api_keys="first,second") as service:
        for headers in (
            {},
            {"x-api-key": "third"},
            {"authorization": "Bearer firs"},
            {"authorization": "Basic first"},
            {"x-api-key": "clé".encode()},
        ):
            response = service.caption(clip(1), headers)
            assert_problem(response, 401, says="X-API-Key")
            assert response.headers["www-authenticate"] == "Bearer"
        for headers in ({"x-api-key": "second"}, {"authorization": "Bearer first"}):
            assert service.caption(clip(1), headers).status_code == 200
        for path in ("/livez", "/readyz", "/info", "/metrics", "/docs", "/"):
            assert service.http.get(path).status_code == 200


def test_cors() -> None:
    asks = {"origin": "https://a.example", "access-control-request-method": "POST"}
    with running(cors_origins="https://A.example/") as service:
        preflight = service.http.options("/caption", headers=asks)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://a.example"
        answer = service.caption(clip(1), {"origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        other = service.caption(clip(1), {"origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers


# -- operations -------------------------------------------------------------------------------


def test_it_is_alive_but_not_ready_while_it_warms_up() -> None:
    captioner = FakeCaptioner()
    captioner.warm.clear()
    with running(captioner) as service:
        assert service.http.get("/livez").json() == {"status": "ok"}
        assert_problem(service.http.get("/readyz"), 503, says="warming up")
        assert_problem(service.http.get("/healthz"), 503, says="warming up")
        assert_problem(service.caption(clip(1)), 503, says="warming up")
        assert service.metric("model_ready") == 0
        captioner.warm.set()
        eventually(lambda: service.http.get("/readyz").status_code == 200)
        assert service.http.get("/healthz").json() == {"status": "ok"}
        assert service.metric("model_ready") == 1
        assert service.caption(clip(1)).status_code == 200


def test_a_dead_model_thread_is_not_alive_and_hangs_nobody() -> None:
    with running() as service:
        with service.occupied():
            doomed = [
                Later(lambda number=number: service.caption(clip(number)))  # type: ignore[misc]
                for number in (2, FATAL, 3)
            ]
            eventually(lambda: service.metric("queue_depth") == 3)
        for answer in doomed:
            assert_problem(answer.get(), 500, says="once more")
        assert_problem(service.http.get("/livez"), 503, says="died")
        assert_problem(service.http.get("/readyz"), 503, says="died")
        assert_problem(service.caption(clip(1)), 503)


def test_info(shared: Service) -> None:
    body = shared.http.get("/info").json()
    assert set(body.pop("versions")) == {"audiodiff", "python", "torch"}
    assert body == {
        "model": {"name": "fake", "revision": "0123abcd"},
        "card": FakeCaptioner.card,
        "device": "cpu",
        "dtype": "float32",
        "sample_rate": 100,
        "frame_s": 0.5,
        "styles": {
            "rest": {"name": "fake", "revision": "0123abcd"},
            "changes": {"name": "other", "revision": "4567ef01"},
            "explain": {"name": "third", "revision": "89ab2345"},
        },
        "limits": {
            "max_upload_mb": 1,
            "max_audio_seconds": 20,
            "max_timeline_seconds": 14_400,
            "max_timeline_mb": 4096,
            "max_timelines": 2,
            "max_streams": 16,
            "max_queue": 256,
            "max_queue_mb": 1024,
            "max_queue_seconds": 3600,
            "max_batch_size": 32,
            "max_batch_seconds": 320,
            "request_timeout_s": 30,
        },
    }


def test_pages_for_people_and_machines(shared: Service) -> None:
    assert 'href="docs"' in shared.http.get("/").text
    assert "swagger" in shared.http.get("/docs").text
    assert shared.http.get("/openapi.json").json()["openapi"].startswith("3.")


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/healthz", "/info", "/metrics", "/", "/docs", "/openapi.json"]
)
def test_head_is_get_without_the_body(shared: Service, path: str) -> None:
    head, get = shared.http.head(path), shared.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_below_a_proxys_prefix() -> None:
    with running(root_path="/audio") as service:
        assert service.http.get("/openapi.json").json()["servers"] == [{"url": "/audio"}]
        assert service.caption(clip(5)).json()["caption"] == "sound 5"
        assert service.metric("requests_total", endpoint="/caption", status="200") == 1
        elsewhere = service.http.get("/openapi.json", headers={"x-forwarded-prefix": "/other"})
        assert elsewhere.json()["servers"] == [{"url": "/other"}]


def test_metrics_equal_what_was_sent() -> None:
    with running() as service:
        threads = [
            *(Later(lambda: service.caption(clip(1, 2.0))) for _ in range(12)),
            *(Later(lambda: service.difference(clip(1, 2.0), clip(2, 3.0))) for _ in range(5)),
            *(Later(lambda: service.caption(b"garbage")) for _ in range(3)),
        ]
        statuses = [thread.get().status_code for thread in threads]
        assert statuses == [200] * 17 + [415] * 3
        metric = service.metric
        assert metric("requests_total", endpoint="/caption", status="200") == 12
        assert metric("requests_total", endpoint="/caption", status="415") == 3
        assert metric("requests_total", endpoint="/difference", status="200") == 5
        assert metric("request_seconds_count", endpoint="/caption") == 15
        assert metric("audio_seconds_total", endpoint="/caption") == 24
        assert metric("audio_seconds_total", endpoint="/difference") == 25
        assert metric("differences_total", style="rest") == 5
        assert metric("differences_total", style="changes") == 0
        assert metric("generated_tokens_total") == 3 * 17
        assert metric("sounds_total", label="Dog") == 17
        assert metric("sounds_total", label="Rain") == 12, "what both have is not new"
        assert metric("rejections_total", reason="unsupported-format") == 3
        assert metric("batch_size_sum") == 12 + 2 * 5
        assert metric("cache_misses_total") == 2
        assert metric("cache_hits_total") == 20
        assert metric("stage_seconds_count", stage="read") == 20
        for stage in ("decode", "queue", "encode", "generate"):
            assert metric("stage_seconds_count", stage=stage) == 17
        assert metric("cancelled_total") == metric("queue_depth") == 0
        service.http.get("/strange/path/1")
        assert metric("requests_total", endpoint="unmatched", status="404") == 1


# -- the process ------------------------------------------------------------------------------


def begun(process: Process, number: int) -> Later:
    """POST /caption, later; the model has begun with it, and is stopped."""
    process.tell("shut")
    answer = Later(lambda: process.caption(clip(number)))
    eventually(lambda: [number] in process.tell()["encoded"])
    return answer


def test_sigterm_finishes_what_was_accepted_and_exits_0() -> None:
    with serving(max_batch_size=1) as process:
        encoding = begun(process, 5)
        queued = Later(lambda: process.caption(clip(6)))
        eventually(lambda: process.metric("queue_depth") == 1)
        process.child.send_signal(signal.SIGTERM)
        eventually(lambda: process.http.get("/readyz").status_code == 503)
        assert_problem(process.http.get("/readyz"), 503, says="shutting down")
        assert process.http.get("/livez").status_code == 200
        assert_problem(process.caption(clip(7)), 503, says="shutting down")
        process.tell("open")
        assert encoding.get().json()["caption"] == "sound 5"
        assert queued.get().json()["caption"] == "sound 6"
        assert process.child.wait(WAIT_S) == 0
        assert all(json.loads(line) for line in process.log), "every line of the log is JSON"


def test_a_drain_that_does_not_end_answers_503_and_exits_1() -> None:
    with serving(drain_timeout_s=0.3) as process:
        hung = begun(process, 5)
        process.child.send_signal(signal.SIGTERM)
        assert_problem(hung.get(), 503, says="shut down before")
        assert process.child.wait(WAIT_S) == 1


def test_a_dead_model_thread_ends_the_process_with_1() -> None:
    with serving() as process:
        assert_problem(process.caption(clip(FATAL)), 500, says="once more")
        assert process.child.wait(WAIT_S) == 1


def test_every_address_is_those_of_both_families_and_a_misspelt_setting_is_told_of() -> None:
    with serving(host="::", max_queu=3) as process:
        port = process.http.base_url.port
        assert process.http.base_url.host == "::"
        for address in ("127.0.0.1", "[::1]"):
            assert httpx.get(f"http://{address}:{port}/livez").status_code == 200
        assert any("did you mean AUDIODIFF_MAX_QUEUE?" in line for line in process.log)
