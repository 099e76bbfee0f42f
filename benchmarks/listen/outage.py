"""A webhook that is down, and a sender that ends meanwhile: what arrives, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cli.outbox import Outbox, Webhook

EVERY_S = 5.0
FAILING = 3
"""Of the first requests once it is back, that it answers with 503."""


class Receiver(ThreadingHTTPServer):
    """Counts what it takes."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.taken: Counter[str] = Counter()
        self.fails = FAILING


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.fails:
            self.server.fails -= 1
            self.send_response(503)
        else:
            self.server.taken[self.headers["Idempotency-Key"]] += 1
            self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


async def report(seconds: float) -> AsyncIterator[str]:
    """An event every five seconds, to nobody; the sender is stopped and started half way."""
    with Receiver() as gone:
        port = gone.server_port
    url = f"http://127.0.0.1:{port}/"
    warnings: list[str] = []
    began = time.monotonic()
    count = round(seconds / EVERY_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox"
        for numbers in (range(count // 2), range(count // 2, count)):
            with contextlib.closing(Outbox(path)) as outbox:
                webhook = Webhook(outbox, url, "secret", warnings.append)
                sending = asyncio.create_task(webhook.run())
                for number in numbers:
                    webhook.put(f"event {number}", b"{}")
                    await asyncio.sleep(EVERY_S)
                sending.cancel()
        with contextlib.closing(Outbox(path)) as outbox, Receiver(port) as back:
            thread = threading.Thread(target=back.serve_forever)
            thread.start()
            returned = time.monotonic()
            sending = asyncio.create_task(Webhook(outbox, url, "secret", warnings.append).run())
            while len(outbox):
                await asyncio.sleep(0.1)
            took = time.monotonic() - returned
            sending.cancel()
            back.shutdown()
            thread.join()
            taken = back.taken
    yield f"down for {returned - began:.0f} s, {count} events, {len(warnings)} failed tries"
    yield (
        f"arrived {len(taken)}, more than once {sum(n > 1 for n in taken.values())}, "
        f"the last {took:.0f} s after it was back ({FAILING} more failures by then)"
    )
