"""Events reach a real receiver, whatever it does in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.outbox import Outbox, Webhook, signature
from model.errors import AudiodiffError, OptionsError
from tests.support.answering import answering


class Receiver(ThreadingHTTPServer):
    """Takes events, or answers with the next of ``statuses``."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.statuses: list[int] = []
        self.retry_after = ""
        self.taken: list[bytes] = []
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/events"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if status == 204:
            self.server.taken.append(body)
            self.server.keys.append(self.headers["Idempotency-Key"])
        self.send_response(status)
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that takes everything."""
    with answering(Receiver()) as server:
        yield server


class Warnings(list[str]):
    """What was warned of; a call is a warning."""

    __call__ = list.append


def sent(
    outbox: Outbox,
    url: str,
    secret: str | None = None,
    pauses_s: tuple[float, ...] = (0, 0.01),
) -> Warnings:
    """Send until the outbox is empty."""
    warnings = Warnings()

    async def send() -> None:
        task = asyncio.create_task(Webhook(outbox, url, secret, warnings, pauses_s).run())
        while len(outbox):
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(send(), 60))
    return warnings


def fill(outbox: Outbox, numbers: range) -> None:
    for number in numbers:
        outbox.put(f"key {number}", b"%d" % number)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """An empty one."""
    with closing(Outbox(tmp_path / "outbox")) as new:
        yield new


def test_events_arrive_in_their_order_once_each(outbox: Outbox, receiver: Receiver) -> None:
    fill(outbox, range(5))
    assert sent(outbox, receiver.url) == []
    assert receiver.taken == [b"0", b"1", b"2", b"3", b"4"]
    assert receiver.keys == [f"key {number}" for number in range(5)]
    assert receiver.headers[0]["content-type"] == "application/json"
    assert "x-audiodiff-signature" not in receiver.headers[0]


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
def test_what_is_not_taken_is_sent_again(outbox: Outbox, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status] * 3
    fill(outbox, range(2))
    warnings = sent(outbox, receiver.url)
    assert [str(status) in warning for warning in warnings] == [True] * 3
    assert receiver.taken == [b"0", b"1"]


def test_what_the_receiver_will_never_take_keeps_no_other_waiting(
    outbox: Outbox, receiver: Receiver
) -> None:
    receiver.statuses = [422]
    fill(outbox, range(2))
    (warning,) = sent(outbox, receiver.url)
    assert "refused event key 0 with 422" in warning
    assert receiver.taken == [b"1"]


def test_a_receiver_says_when_to_come_back(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    receiver.statuses, receiver.retry_after = [503, 503, 503], "7"
    fill(outbox, range(1))
    monkeypatch.setattr("cli.outbox.asyncio.sleep", noted)
    sent(outbox, receiver.url, pauses_s=(1, 8))
    assert [pause for pause in pauses if pause >= 1] == [7, 8, 8]


def test_events_outlive_the_process_that_had_them(tmp_path: Path, receiver: Receiver) -> None:
    with closing(Outbox(tmp_path / "outbox")) as first:
        fill(first, range(3))
        first.remove(1)
    with closing(Outbox(tmp_path / "outbox")) as second:
        assert len(second) == 2
        sent(second, receiver.url)
    assert receiver.taken == [b"1", b"2"]


def test_while_nobody_listens_events_wait(outbox: Outbox) -> None:
    with Receiver() as gone:
        url = gone.url
        port = gone.server_port
    fill(outbox, range(3))
    warnings = Warnings()

    async def send() -> None:
        webhook = Webhook(outbox, url, None, warnings, (0, 0.01))
        assert await webhook.last_try() == 3
        task = asyncio.create_task(webhook.run())
        while len(warnings) < 5:
            await asyncio.sleep(0.01)
        webhook.put("key 3", b"3")
        with answering(Receiver(port)) as back:
            while len(outbox):
                await asyncio.sleep(0.01)
            assert back.taken == [b"0", b"1", b"2", b"3"]
        task.cancel()

    asyncio.run(asyncio.wait_for(send(), 60))
    assert all("has not got an event" in warning for warning in warnings)


def test_who_knows_the_secret_can_check_who_sent_it(outbox: Outbox, receiver: Receiver) -> None:
    fill(outbox, range(1))
    sent(outbox, receiver.url, "hush")
    (headers,) = receiver.headers
    expected = signature("hush", headers["x-audiodiff-timestamp"], b"0")
    assert headers["x-audiodiff-signature"] == f"sha256={expected}"
    assert signature("hush", "1700000000", b"{}") == (
        "763081ea12e3b1f903f958994c023cde07f1224b02a538ad6f959112a2f780ba"
    )


def test_the_outbox_is_bounded_and_gives_up_the_oldest(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path / "outbox", most=3)) as outbox:
        given_up = [outbox.put(str(number), b"") for number in range(5)]
        assert given_up == [0, 0, 0, 1, 1]
        oldest = outbox.oldest()
        assert oldest is not None
        assert oldest[1] == "2"


def test_an_outbox_is_one_process_s(outbox: Outbox, tmp_path: Path) -> None:
    fill(outbox, range(1))
    with pytest.raises(AudiodiffError, match="--outbox"):
        Outbox(tmp_path / "outbox")
    with pytest.raises(AudiodiffError, match="--outbox"):
        Outbox(tmp_path / "no" / "folder")


@pytest.mark.parametrize("url", ["ftp://x/", "x", "http://", "/events"])
def test_a_webhook_needs_a_url(outbox: Outbox, url: str) -> None:
    with pytest.raises(OptionsError, match="--post"):
        Webhook(outbox, url, None, Warnings())
