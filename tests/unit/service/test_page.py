"""The page's files as they are handed out; what a visitor sees of them is tested in a browser."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from service.page import add_page


def get(path: str) -> httpx.Response:
    app = FastAPI(docs_url=None, redoc_url=None)
    add_page(app)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize("path", ["/", "/docs", "/web/app.js", "/docs/swagger-ui-bundle.js"])
def test_nothing_may_come_from_another_host(path: str) -> None:
    response = get(path)
    assert response.status_code == 200
    policy = response.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    sources = {source for directive in policy for source in directive.split()[1:]}
    assert sources == {"'none'", "'self'", "data:"}
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/web/../page.py", "/web/%2e%2e/page.py", "/web/", "/docs/x"])
def test_nothing_else_is_handed_out(path: str) -> None:
    assert get(path).status_code == 404
