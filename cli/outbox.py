"""Events on their way to a webhook: on disk until the receiver has said that it has them.

At least once: between a receiver's answer and its being noted the process can die, and then the
event is sent again with the same ``Idempotency-Key``. Who knows the keys that came has each once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from model.errors import AudiodiffError, OptionsError

MAX_WAITING = 10_000
"""Events on disk; beyond them the oldest are given up."""
PAUSES_S = (1, 2, 4, 8, 16, 30, 60)
"""Between tries, where the receiver does not say when to come back; the last holds on."""
MAX_PAUSE_S = 300.0
"""However much longer a receiver may ask for."""
TIMEOUT_S = 10
REFUSED = (400, 410, 413, 415, 422)
"""Statuses of a receiver that will not take this event, however often it is sent."""


class Outbox:
    """A bounded queue of events in a SQLite file, which one process has at a time."""

    def __init__(self, path: Path, most: int = MAX_WAITING) -> None:
        """Every method raises AudiodiffError if the file cannot be had, read or written."""
        self._path = path
        self._most = most
        with self._explained():
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS events "
                "(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, body BLOB NOT NULL)"
            )
            self._db.execute("BEGIN EXCLUSIVE")  # what is locked once stays locked
            self._db.execute("COMMIT")

    def put(self, key: str, body: bytes) -> int:
        """Keep an event; when this returns it is on disk. How many others were given up for it."""
        with self._explained(), self._db:
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO events (id, body) VALUES (?, ?)", (key, body))
            return self._db.execute(
                "DELETE FROM events WHERE number NOT IN "
                "(SELECT number FROM events ORDER BY number DESC LIMIT ?)",
                (self._most,),
            ).rowcount

    def oldest(self) -> tuple[int, str, bytes] | None:
        """Number, key and body of the event that has waited longest."""
        with self._explained():
            row: tuple[int, str, bytes] | None = self._db.execute(
                "SELECT number, id, body FROM events ORDER BY number LIMIT 1"
            ).fetchone()
            return row

    def remove(self, number: int) -> None:
        """It need not be sent any more."""
        with self._explained():
            self._db.execute("DELETE FROM events WHERE number = ?", (number,))

    def __len__(self) -> int:
        """Events that wait."""
        with self._explained():
            count: int = self._db.execute("SELECT count(*) FROM events").fetchone()[0]
            return count

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise AudiodiffError(
                f"{self._path}: {error}; name a file with --outbox that can be written and that no "
                "other process has"
            ) from error


class Webhook:
    """Sends what lies in an outbox to a URL, in its order, one at a time, until it arrives."""

    def __init__(
        self,
        outbox: Outbox,
        url: str,
        secret: str | None,
        warn: Callable[[str], None],
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        """Raises OptionsError if the URL is none."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise OptionsError(f"--post: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise OptionsError(f"--post must be like https://example.org/events, not {url}")
        self._outbox = outbox
        self._url = parsed
        self._secret = secret
        self._warn = warn
        self._pauses_s = pauses_s
        self._more = asyncio.Event()

    def put(self, key: str, body: bytes) -> None:
        """Have an event sent; when this returns it is on disk."""
        if given_up := self._outbox.put(key, body):
            self._warn(f"the outbox is full; its {given_up} oldest events are given up")
        self._more.set()

    async def run(self) -> None:
        """Send until cancelled."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while True:
                self._more.clear()
                await self._drain(client)
                await self._more.wait()

    async def last_try(self) -> int:
        """Send what waits, until something cannot be sent; how many are left on disk."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            while (event := self._outbox.oldest()) is not None:
                if await self._send(client, *event) is not None:
                    break
        return len(self._outbox)

    async def _drain(self, client: httpx.AsyncClient) -> None:
        tries = 0
        while (event := self._outbox.oldest()) is not None:
            wait_s = await self._send(client, *event)
            if wait_s is None:
                tries = 0
                continue
            pause_s = self._pauses_s[min(tries, len(self._pauses_s) - 1)]
            tries += 1
            await asyncio.sleep(min(max(wait_s, pause_s), MAX_PAUSE_S))

    async def _send(
        self, client: httpx.AsyncClient, number: int, key: str, body: bytes
    ) -> float | None:
        """None if it is done with; else the least seconds until it should be tried again."""
        try:
            response = await client.post(self._url, content=body, headers=self._headers(key, body))
        except httpx.TransportError as error:
            self._warn(f"{self._url.host} has not got an event: {error or type(error).__name__}")
            return 0.0
        if response.is_success or response.status_code in REFUSED:
            if not response.is_success:
                self._warn(f"{self._url.host} refused event {key} with {response.status_code}")
            self._outbox.remove(number)
            return None
        self._warn(f"{self._url.host} has not taken an event: {response.status_code}")
        after = response.headers.get("retry-after", "")
        return float(after) if after.isdecimal() else 0.0

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self._secret is None:
            return headers
        now = str(int(time.time()))
        return headers | {
            "X-Audiodiff-Timestamp": now,
            "X-Audiodiff-Signature": f"sha256={signature(self._secret, now, body)}",
        }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal digits of the timestamp, a full stop and the body."""
    signed = timestamp.encode() + b"." + body
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
