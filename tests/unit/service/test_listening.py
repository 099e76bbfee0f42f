"""``WS /listen``: a real server and a real client, over a captioner that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.captioner import StreamCaptioner
from tests.support.client import WAIT_S, Client, eventually
from tests.support.threaded import in_thread

RATE = 1000
"""Of the client's samples; the captioner has a tenth of it."""
START = {"sample_rate": RATE, "background_s": 30}
Connection = ClientConnection


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A service for tests that leave it as it was."""
    with in_thread(StreamCaptioner()) as new:
        Client(f"http://127.0.0.1:{new}").http.close()
        ready(new)
        yield new


def ready(port: int) -> None:
    client = Client(f"http://127.0.0.1:{port}")
    with client.http:
        eventually(lambda: client.http.get("/readyz").status_code == 200)


def metric(port: int, name: str, **labels: str) -> float:
    client = Client(f"http://127.0.0.1:{port}")
    with client.http:
        return client.metric(name, **labels)


@contextmanager
def opened(port: int, start: object = START, **options: Any) -> Iterator[Connection]:
    """A connection on which the first message was sent."""
    with connect(f"ws://127.0.0.1:{port}/listen", open_timeout=WAIT_S, **options) as connection:
        with suppress(ConnectionClosed):  # who may not listen is told so at once
            connection.send(start if isinstance(start, bytes | str) else json.dumps(start))
        yield connection


def pcm(*parts: tuple[float, float]) -> bytes:
    """Values, each for so many seconds, as s16le."""
    values = [np.full(round(seconds * RATE), value * 2**15) for value, seconds in parts]
    return np.concatenate(values).astype("<i2").tobytes()


def answers(connection: Connection) -> tuple[list[dict[str, Any]], int]:
    """All messages until it is closed, and the code."""
    found = []
    try:
        while True:
            found.append(json.loads(connection.recv(timeout=WAIT_S)))
    except ConnectionClosed:
        assert connection.close_code is not None
        return found, connection.close_code


def send_in_pieces(connection: Connection, data: bytes) -> None:
    for start in range(0, len(data), RATE):
        connection.send(data[start : start + RATE])


def test_events_come_as_they_are_heard(port: int) -> None:
    with opened(port) as connection:
        assert json.loads(connection.recv()) == {
            "ready": {
                "model": {"name": "fake", "revision": "0123abcd"},
                "window_s": 5.0,
                "hop_s": 1.5,
            }
        }
        send_in_pieces(connection, pcm((0, 20), (0.5, 10)))
        event = json.loads(connection.recv(timeout=WAIT_S))["event"]
        assert event["start_s"] == pytest.approx(20, abs=0.5)
        assert event["caption"].endswith("begins")
        assert event["sounds"]
        connection.send("end")
        rest, code = answers(connection)
        assert code == 1000
        assert all("event" in message for message in rest)


def test_what_is_left_at_the_end_is_heard(port: int) -> None:
    with opened(port) as connection:
        send_in_pieces(connection, pcm((0, 20), (0.5, 0.6)))
        connection.send("end")
        found, code = answers(connection)
    assert code == 1000
    assert [[*message] for message in found][:2] == [["ready"], ["event"]]


def test_streams_are_counted(port: int) -> None:
    def heard() -> Sequence[float]:
        return [metric(port, name) for name in ("stream_windows_total", "stream_lag_seconds_count")]

    before, told = heard(), metric(port, "stream_events_total")
    with opened(port) as connection:
        assert metric(port, "streams") >= 0
        send_in_pieces(connection, pcm((0, 20), (0.5, 5)))
        connection.send("end")
        found, _ = answers(connection)
    assert all(now > then for now, then in zip(heard(), before, strict=True))
    assert metric(port, "stream_events_total") - told == len(found) - 1
    eventually(lambda: metric(port, "streams") == 0)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("no json", "JSON"),
        (b"\0\0", "JSON"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"format": "mp3"}, "format"),
        ({"background_s": 1}, "background_s"),
        ({"channels": 0}, "channels"),
        ({"rate": 16_000}, "rate"),
    ],
)
def test_a_first_message_that_is_none_is_told_so(port: int, start: object, says: str) -> None:
    refused = metric(port, "rejections_total", reason="invalid-field")
    with opened(port, start) as connection:
        (message,), code = answers(connection)
    assert code == 1008
    assert message["problem"]["status"] == 422
    assert says in message["problem"]["detail"]
    assert metric(port, "rejections_total", reason="invalid-field") == refused + 1


@pytest.mark.parametrize(
    ("start", "sound", "says"),
    [
        (START, b"\0", "no whole number"),
        ({**START, "channels": 2}, b"\0\0", "no whole number"),
        ({**START, "format": "f32le"}, np.float32(np.nan).tobytes(), "NaN"),
        (START, "stop", "the text end"),
    ],
)
def test_a_message_that_is_no_sound_ends_the_stream(
    port: int, start: object, sound: bytes | str, says: str
) -> None:
    with opened(port, start) as connection:
        connection.send(sound)
        (_, message), code = answers(connection)
    assert code == 1008
    assert message["problem"]["status"] == 422
    assert says in message["problem"]["detail"]


def test_a_message_has_a_bound(port: int) -> None:
    with opened(port) as connection:
        connection.send(bytes((1 << 20) + 2))
        (_,), code = answers(connection)
    assert code == 1009


def test_a_key_comes_in_a_header_or_in_the_first_message() -> None:
    with in_thread(StreamCaptioner(), api_keys="one,two") as port:
        ready(port)
        given: list[tuple[dict[str, object], dict[str, str]]] = [
            ({**START, "api_key": "two"}, {}),
            (START, {"Authorization": "Bearer one"}),
            (START, {"X-API-Key": "two"}),
        ]
        for start, headers in given:
            with opened(port, start, additional_headers=headers) as connection:
                assert "ready" in json.loads(connection.recv(timeout=WAIT_S))
        for start in (START, {**START, "api_key": "three"}):
            with opened(port, start) as connection:
                (message,), code = answers(connection)
            assert (message["problem"]["status"], code) == (401, 1008)


def test_pages_of_other_origins_need_to_be_let_in() -> None:
    with in_thread(StreamCaptioner(), cors_origins="https://a.test") as port:
        ready(port)
        for origin in ("https://a.test", f"http://127.0.0.1:{port}"):
            with opened(port, origin=origin) as connection:
                assert "ready" in json.loads(connection.recv(timeout=WAIT_S))
        with opened(port, origin="https://b.test") as connection:
            (message,), code = answers(connection)
        assert (message["problem"]["status"], code) == (401, 1008)
        assert "CORS_ORIGINS" in message["problem"]["detail"]


def test_there_are_places_for_so_many() -> None:
    with in_thread(StreamCaptioner(), max_streams=1) as port:
        ready(port)
        with opened(port) as first:
            first.recv(timeout=WAIT_S)
            with opened(port) as second:
                (message,), code = answers(second)
            assert (message["problem"]["status"], code) == (429, 1013)
        eventually(lambda: metric(port, "streams") == 0)
        with opened(port) as third:
            assert "ready" in json.loads(third.recv(timeout=WAIT_S))


def test_who_sends_nothing_is_let_go() -> None:
    with in_thread(StreamCaptioner(), request_timeout_s=0.2) as port:
        ready(port)
        with opened(port) as connection:
            (_, message), code = answers(connection)
        assert (message["problem"]["status"], code) == (504, 1013)
        assert "sound" in message["problem"]["detail"]
        with connect(f"ws://127.0.0.1:{port}/listen") as silent:
            (message,), code = answers(silent)
        assert message["problem"]["status"] == 504
        assert "first message" in message["problem"]["detail"]


def test_before_the_model_is_ready_nobody_is_let_in() -> None:
    captioner = StreamCaptioner()
    captioner.warm.clear()
    with in_thread(captioner) as port, opened(port) as connection:
        (message,), code = answers(connection)
    assert (message["problem"]["status"], code) == (503, 1013)
