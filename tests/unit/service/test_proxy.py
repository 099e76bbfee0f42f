"""A service behind a proxy that takes a prefix off the path."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.support.captioner import FakeCaptioner

PROXY, STRANGER = "127.0.0.1", "192.0.2.7"


def ask(path: str, prefix: str | None = None, come_from: str = PROXY, **settings: Any) -> Any:
    """GET, as from this address."""
    headers = {} if prefix is None else {"x-forwarded-prefix": prefix}
    app = create_app(Settings(**settings), FakeCaptioner())

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(come_from, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://audio") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(get())


def servers(*arguments: Any, **settings: Any) -> list[str]:
    """Below what the document says that the routes lie."""
    document = ask("/openapi.json", *arguments, **settings).json()
    return [server["url"] for server in document.get("servers", [])]


def test_the_document_names_the_prefix() -> None:
    assert servers() == []
    assert servers(root_path="/audio/") == ["/audio"]
    assert servers("/audio") == ["/audio"]
    assert servers("/a/b/", root_path="/audio") == ["/a/b"]


@pytest.mark.parametrize("prefix", ["audio", "//evil.example", "/a b", "/a?b", "", "/"])
def test_what_is_no_prefix_is_passed_over(prefix: str) -> None:
    assert servers(prefix, root_path="/audio") == ["/audio"]


def test_only_a_trusted_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert servers("/audio", STRANGER) == []
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.0/24")
    assert servers("/audio", STRANGER) == ["/audio"]
    assert servers("/audio", PROXY) == []


@pytest.mark.parametrize("prefix", ["/audio", "/caption", "/docs"])
@pytest.mark.parametrize("path", ["/livez", "/docs", "/docs/swagger-ui.css", "/web/app.js", "/"])
def test_each_path_is_found_whatever_the_prefix(prefix: str, path: str) -> None:
    assert ask(path, root_path=prefix).status_code == 200


def test_a_path_that_is_not_there() -> None:
    response = ask("/nowhere", root_path="/audio")
    assert (response.status_code, response.json()["detail"]) == (
        404,
        "Not Found; the routes are listed at /audio/docs",
    )
    assert ask("/livez/", root_path="/audio").status_code == 404, "nothing is redirected"
