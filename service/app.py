"""The application, and the process that serves it."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging import getLogger
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from engine.engine import Engine
from engine.worker import AnyCaptioner
from service import logging, problems
from service.listening import MAX_MESSAGE_BYTES
from service.metrics import Metrics
from service.middleware import RequestContext
from service.page import add_page
from service.proxy import BehindProxy
from service.routes import add_routes
from service.settings import Settings, misspelt
from service.version import version

_log = getLogger(__name__)
_NO_PORT = 3
"""uvicorn's exit code."""
# For what is left when the engine is done: writing the last answers out.
_LAST_WORDS_S = 2


def create_app(settings: Settings, captioner: AnyCaptioner) -> FastAPI:
    """The whole service around a loaded captioner; its threads live as long as its lifespan.

    The lifespan does not wait for the warm-up: until it is done ``/livez`` answers 200 and
    ``/readyz`` and the routes that compute answer 503.
    """
    metrics = Metrics()
    metrics.watch("queue_limit", lambda: settings.max_queue)
    metrics.watch("request_timeout_seconds", lambda: settings.request_timeout_s)
    engine = Engine(settings.engine, captioner, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.stop()

    app = FastAPI(
        title="audiodiff",
        version=version(),
        summary="Captions audio, and what is heard in one clip and not in another.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A redirect would lead past a proxy's prefix, and lose what was sent.
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.engine = engine
    add_routes(app, settings, captioner.defaults)
    add_page(app)
    problems.install(app)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Server-Timing", "Retry-After"],
        )
    app.add_middleware(BehindProxy, root_path=settings.root_path)
    # Added last, so that it is the outermost.
    app.add_middleware(RequestContext, observe=metrics.request, on_error=problems.problem_response)
    return app


class Server(uvicorn.Server):
    """Drains on SIGTERM or SIGINT, and gives up when the model thread dies.

    While it drains it still listens, so that newcomers get a 503 and not a closed door, and it
    leaves when everything accepted is answered. A second SIGINT leaves at once.
    """

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self._engine = engine
        self._draining = False
        self.exit_code = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; at ``::`` for IPv4 too, which asyncio's own sockets leave out."""
        if not (_is_any_ipv6(self.config.host) and socket.has_dualstack_ipv6()):
            await super().startup(sockets)
            return
        try:
            listener = socket.create_server(
                (self.config.host, self.config.port), family=socket.AF_INET6, dualstack_ipv6=True
            )
        except OSError as error:
            _log.error(error)
            sys.exit(_NO_PORT)
        await super().startup([listener])
        self._log_started_message([listener])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Begin to drain; replaces a handler that would end the process with the signal."""
        if self._draining and sig == signal.SIGINT:
            self.exit_code = 1
            self.force_exit = self.should_exit = True
        self._draining = True
        self._engine.begin_drain()

    async def on_tick(self, counter: int) -> bool:
        """Called every 100 ms; True ends the server."""
        if await super().on_tick(counter):
            return True
        if self._engine.died:
            self.exit_code = 1
            return True
        if self._engine.drained:
            if not await self._engine.finish():
                self.exit_code = 1
            return True
        return False


def serve(settings: Settings, captioner: AnyCaptioner) -> int:
    """Serve until SIGTERM or SIGINT; the exit code of the process.

    0 if everything accepted was answered; 1 if it was not within ``drain_timeout_s``, or if the
    model thread died. A port that cannot be had ends the process with uvicorn's code 3.
    """
    logging.configure(settings.log_format, settings.log_level)
    for warning in misspelt():
        _log.warning(warning)
    app = create_app(settings, captioner)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # ``BehindProxy`` reads them
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        # No pong is read while a window waits for the model.
        ws_ping_timeout=2 * settings.request_timeout_s,
        # Longer than a balancer keeps its idle connections, so that it is the one to close them.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_LAST_WORDS_S,
    )
    server = Server(config, app.state.engine)
    server.run()
    return server.exit_code


def _is_any_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host) == ipaddress.IPv6Address("::")
    except ValueError:  # a name
        return False
