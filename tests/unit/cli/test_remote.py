"""What is asked of a service, how often, and what becomes of its refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cli import main as audiodiff
from cli import remote

URL = "http://service.test:8000/api"
ANSWER = {
    "id": "1", "caption": "a dog", "score": -0.5, "alternatives": [], "audio": {"channels": 1},
    "timing_ms": {"total": 3.0},
}  # fmt: skip
Answerer = Callable[[httpx.Request], httpx.Response]


class FakeService:
    """Answers from a list, the last one for ever; an exception is raised."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []
        self.pauses: list[float] = []

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(await request.aread())
        await asyncio.sleep(0)  # others get their turn, as with a network
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def ok() -> httpx.Response:
    """A caption."""
    return httpx.Response(200, json=ANSWER)


def problem(status: int, slug: str, detail: str, **headers: str) -> httpx.Response:
    """A refusal."""
    body = {"type": f"urn:audiodiff:problem:{slug}", "detail": detail}
    return httpx.Response(
        status, json=body, headers={k.replace("_", "-"): headers[k] for k in headers}
    )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    fake = FakeService()
    monkeypatch.delenv("AUDIODIFF_API_KEY", raising=False)
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fake.handle)
    monkeypatch.setattr(remote, "sleep", fake.sleep)
    return fake


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file; only the service would find that it is not audio."""
    path = tmp_path / "dog.wav"
    path.write_bytes(b"woof")
    return str(path)


def caption(*arguments: str) -> int:
    return audiodiff.main(["caption", *arguments, "--url", URL])


def test_what_is_sent_and_what_is_printed(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers = [ok()]
    assert caption(file, "--num-beams", "3", "--json") == 0
    [request], [body] = service.requests, service.bodies
    assert (request.method, str(request.url)) == ("POST", f"{URL}/caption")
    assert b'name="num_beams"\r\n\r\n3\r\n' in body
    assert b"woof" in body
    assert b"num_captions" not in body
    assert b"events" not in body
    assert b"dog.wav" not in body
    assert "authorization" not in request.headers
    kept = {name: ANSWER[name] for name in ("caption", "score", "alternatives", "audio")}
    assert json.loads(capsys.readouterr().out) == {"path": file, **kept}


def test_when_sounds_are_heard_is_asked_for(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = [{"label": "Dog", "score": 0.9, "events": [{"start_s": 0.0, "end_s": 1.0}]}]
    service.answers = [httpx.Response(200, json=ANSWER | {"sounds": sounds})]
    assert caption(file, "--json", "--events") == 0
    [body] = service.bodies
    assert b'name="events"\r\n\r\ntrue\r\n' in body
    assert json.loads(capsys.readouterr().out)["sounds"] == sounds


def test_a_difference_in_both_directions(
    service: FakeService, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "rain.wav"
    other.write_bytes(b"drip")
    reverse = {"caption": "rain", "alternatives": [{"caption": "a drip"}]}
    service.answers = [httpx.Response(200, json=ANSWER | {"reverse": reverse})]
    assert audiodiff.main(["difference", file, str(other), "--both", "--url", URL]) == 0
    [request], [body] = service.requests, service.bodies
    assert str(request.url) == f"{URL}/difference"
    for name, value in {b"input": b"woof", b"reference": b"drip", b"both": b"true"}.items():
        assert b'name="' + name in body
        assert value in body
    lines = [f"{file}: a dog", f"{other}: rain", f"{other}: a drip"]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize("where", ["option", "variable"])
def test_the_key(
    where: str, service: FakeService, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answers = [ok()]
    if where == "variable":
        monkeypatch.setenv("AUDIODIFF_API_KEY", "secret")
    assert caption(file, *(["--api-key", "secret"] if where == "option" else [])) == 0
    assert service.requests[0].headers["authorization"] == "Bearer secret"


def test_a_busy_service_is_asked_again_when_it_says(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers = [
        problem(429, "queue-full", "full", retry_after="7"),
        problem(503, "not-ready", "warming up"),
        ok(),
    ]
    assert caption(file) == 0
    assert service.pauses == [7, remote.PAUSES_S[1]]
    assert len(service.bodies) == 3
    assert all(b"woof" in body for body in service.bodies)
    assert capsys.readouterr() == (f"{file}: a dog\n", "")


def test_it_is_not_asked_for_ever(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers = [problem(429, "queue-full", "the queue is full", retry_after="1")]
    assert caption(file) == 1
    assert len(service.requests) == len(remote.PAUSES_S) + 1
    assert capsys.readouterr() == ("", f"{file}: the queue is full\n")


def test_a_service_that_is_not_there_ends_the_run_at_once(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers = [httpx.ConnectError("refused")]
    assert caption(file, file) == 1
    assert service.pauses == []
    assert capsys.readouterr() == ("", f"audiodiff: no answer from {URL}: refused\n")


def test_a_service_that_was_there_may_come_back(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = problem(429, "queue-full", "full", retry_after="1")
    service.answers = [busy, httpx.ReadError(""), httpx.ConnectError("refused"), ok()]
    assert caption(file) == 0
    assert service.pauses == [1, *remote.PAUSES_S[1:3]]
    assert capsys.readouterr().out == f"{file}: a dog\n"


def test_a_service_that_stays_away_ends_the_run(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = problem(429, "queue-full", "full", retry_after="1")
    service.answers = [busy, httpx.ReadTimeout("")]
    assert caption(file) == 1
    assert len(service.requests) == len(remote.PAUSES_S) + 1
    assert capsys.readouterr().err == f"audiodiff: no answer from {URL}: ReadTimeout\n"


def test_a_file_that_is_refused_fails_alone(
    service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = problem(415, "unsupported-format", "file: not audio; send WAV")
    large = httpx.Response(413, text="<html>the proxy's words</html>")
    service.answers = [bad, large, ok()]
    assert caption(file, file, file) == 1
    assert capsys.readouterr() == (
        f"{file}: a dog\n",
        f"{file}: not audio; send WAV\n{file}: 413 Request Entity Too Large\n",
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (problem(401, "unauthorized", "send a key"), "give it as --api-key or AUDIODIFF_API_KEY"),
        (httpx.Response(404), "does not answer as audiodiff does: 404 Not Found"),
        (httpx.Response(301, headers={"location": "/"}), "301 Moved Permanently"),
        (httpx.Response(200, text="hello"), "does not answer as audiodiff does: 200 OK"),
        (httpx.Response(200, json=["hello"]), "does not answer as audiodiff does: 200 OK"),
    ],
)
def test_what_every_file_would_meet_ends_the_run(
    answer: httpx.Response,
    message: str,
    service: FakeService,
    file: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service.answers = [answer]
    assert caption(*[file] * 100) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"audiodiff: {URL} ")
    assert err.endswith(f"{message}\n")
    assert len(err.splitlines()) == 1
    assert len(service.requests) < 100


@pytest.mark.parametrize("slug", ["invalid-field", "invalid-options"])
def test_options_that_the_service_refuses_are_wrong_usage(
    slug: str, service: FakeService, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers = [problem(422, slug, "num_beams: at most 8")]
    with pytest.raises(SystemExit) as stop:
        caption(file, "--num-beams", "9")
    assert stop.value.code == 2
    assert "num_beams: at most 8" in capsys.readouterr().err
