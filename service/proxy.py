"""What a proxy in front says of a request: where it came from, and below which path."""

from __future__ import annotations

import os
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PREFIX = re.compile(r"(/[\w.~@%+-]+)+", re.ASCII)


class BehindProxy(ProxyHeadersMiddleware):
    """uvicorn's reading of the forwarded headers, and the path prefix that a proxy takes off.

    It is ``root_path``, or what ``X-Forwarded-Prefix`` says. As the other headers, that one is
    believed of the addresses in ``FORWARDED_ALLOW_IPS``, uvicorn's variable; hence one place for
    all: once the client's address is the forwarded one, the proxy's is gone.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        super().__init__(
            app,  # type: ignore[arg-type]
            os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1"),
        )
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        """Serve one request; its path gets the prefix back, as ASGI has it."""
        if scope["type"] == "http":
            prefix = self._prefix(scope)
            scope["root_path"] = prefix
            scope["path"] = prefix + scope["path"]
        await super().__call__(scope, receive, send)  # type: ignore[arg-type]

    def _prefix(self, scope: Scope) -> str:
        client = scope.get("client")
        if (client[0] if client else None) in self.trusted_hosts:
            given = Headers(scope=scope).get("x-forwarded-prefix", "").strip().rstrip("/")
            if _PREFIX.fullmatch(given):
                return given
        return self._root_path
