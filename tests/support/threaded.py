"""A service in a thread of the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from service.app import create_app
from service.listening import MAX_MESSAGE_BYTES
from service.settings import Settings
from tests.support.client import WAIT_S


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def in_thread(captioner: Any, **settings: Any) -> Iterator[int]:
    """Its port, a free one unless it is set.

    At the end the captioner's gates are opened, and the service stops.
    """
    own = Settings(**{"decode_workers": 2, "port": 0, **settings})
    config = uvicorn.Config(
        create_app(own, captioner),
        host=own.host,
        port=own.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.up.wait(WAIT_S)
        port: int = server.servers[0].sockets[0].getsockname()[1]
        yield port
    finally:
        for gate in ("warm", "gate", "reading"):
            if hasattr(captioner, gate):
                getattr(captioner, gate).set()
        server.should_exit = True
        thread.join(WAIT_S)
