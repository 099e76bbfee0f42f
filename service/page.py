"""The page for people and the documentation of the API: files of this host, and of no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

WEB = Path(__file__).parent / "web"

_HEADERS = {
    # Kept by browsers, and asked after by its ETag at each use: a page never meets a script of
    # another version of the service for longer than that.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_page(app: FastAPI) -> None:
    """Give the app ``/`` and ``/docs`` with all that they load.

    Routes, not mounts: the metrics know a request by its route. All links are relative, so that
    the service may lie below any path of a proxy.
    """
    web = StaticFiles(directory=WEB)
    swagger = StaticFiles(packages=[("fastapi_swagger", "resources")])
    for route, files, name in (
        ("/", web, "index.html"),
        ("/docs", web, "docs.html"),
        ("/web/{path:path}", web, None),
        ("/docs/{path:path}", swagger, None),
    ):
        app.api_route(route, methods=["GET", "HEAD"], include_in_schema=False)(_served(files, name))


def _served(files: StaticFiles, name: str | None) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        response = await files.get_response(name or request.path_params["path"], request.scope)
        response.headers.update(_HEADERS)
        return response

    return serve
