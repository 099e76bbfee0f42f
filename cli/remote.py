"""Answers by a running service, over HTTP."""

from __future__ import annotations

import json
from asyncio import sleep
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, BinaryIO

import httpx

from cli.describe import Failed, Reply
from cli.timeline import Told
from model.errors import AudiodiffError, OptionsError

PAUSES_S = (1, 2, 4, 8, 16, 30, 60)
"""Between tries, where the service does not say when to come back."""
TIMEOUT_S = 120
"""How long the service may be silent; it gives a request up long before."""
_OPTIONS_AT_FAULT = ("urn:audiodiff:problem:invalid-field", "urn:audiodiff:problem:invalid-options")
_OF_THIS_REQUEST = ("id", "timing_ms")


class RemoteService:
    """Asks the service at a URL, and asks again while it is busy."""

    in_flight = 8

    def __init__(
        self,
        url: str,
        api_key: str | None,
        search: Mapping[str, int | str],
        *,
        both: bool = False,
        events: bool = False,
    ) -> None:
        """Raises OptionsError if the URL is none."""
        headers = {b"Authorization": f"Bearer {api_key}".encode()} if api_key else {}
        try:
            self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT_S)
        except httpx.InvalidURL as error:
            raise OptionsError(f"--url: {error}") from error
        if self._client.base_url.scheme not in ("http", "https") or not self._client.base_url.host:
            raise OptionsError(f"--url must be like http://127.0.0.1:8000, not {url}")
        self._url = url
        self._data = {name: str(value) for name, value in search.items()}
        flags = {"both": both, "events": events}
        self._data |= {name: "true" for name, wanted in flags.items() if wanted}
        self._met = False

    async def __aenter__(self) -> None:
        """Connections are made when they are needed."""

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def describe(self, files: Mapping[str, BinaryIO]) -> Reply:
        """Send a request, and again as long as there are pauses left.

        Raises Failed if it is refused, OptionsError if its options are, and AudiodiffError if the
        service is not there, or is not one.
        """
        return self._read(await self._until_free(lambda: self._post(files)))

    async def listen(self, file: BinaryIO) -> AsyncGenerator[Told]:
        """The lines of a timeline. Raises as ``describe``."""

        async def post() -> httpx.Response:
            file.seek(0)
            request = self._client.build_request(
                "POST",
                "/timeline",
                data=self._data,
                files={"file": ("file", file)},
                headers={"Accept": "application/x-ndjson"},
            )
            response = await self._client.send(request, stream=True)
            if response.headers.get("content-type", "").startswith("application/x-ndjson"):
                return response
            await response.aread()
            return response

        async with aclosing(await self._until_free(post)) as response:
            if response.is_closed:  # it is read, and no lines
                raise self._error(response, _json(response))
            try:
                async for line in response.aiter_lines():
                    told = json.loads(line)
                    if "problem" in told:
                        raise Failed(told["problem"]["detail"])
                    yield _of_the_sound(told)
            except httpx.TransportError as error:
                raise Failed(f"the answer broke off: {error or type(error).__name__}") from error

    async def _until_free(self, post: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The answer to a request, which is sent again as long as there are pauses left."""
        pauses = iter(PAUSES_S)
        while True:
            pause = next(pauses, None)
            try:
                response = await post()
            except httpx.TransportError as error:
                # A service that was there may come back; one that never was is a wrong URL.
                if pause is None or not self._met:
                    what = str(error) or type(error).__name__
                    raise AudiodiffError(f"no answer from {self._url}: {what}") from error
            else:
                self._met = True
                if pause is None or response.status_code not in (429, 503):
                    return response
                after = response.headers.get("retry-after", "")
                pause = int(after) if after.isdecimal() else pause
            await sleep(pause)

    async def _post(self, files: Mapping[str, BinaryIO]) -> httpx.Response:
        return await self._client.post(
            "/caption" if "file" in files else "/difference",
            data=self._data,
            # Under the field's name: the path is nobody's business, and may not be UTF-8.
            files={field: (field, file) for field, file in files.items()},
        )

    def _read(self, response: httpx.Response) -> Reply:
        """The answer, or the error that a response is."""
        body = _json(response)
        if response.is_success and body.keys() & {"caption", "only"}:
            return _of_the_sound(body)
        raise self._error(response, body)

    def _error(self, response: httpx.Response, body: dict[str, Any]) -> Exception:
        """The error that a response is, of this body."""
        status = f"{response.status_code} {response.reason_phrase}"
        detail = str(body.get("detail", status))
        if response.status_code == 401:
            return AudiodiffError(
                f"{self._url} asks for an API key: give it as --api-key or AUDIODIFF_API_KEY"
            )
        if body.get("type") in _OPTIONS_AT_FAULT:
            return OptionsError(detail)
        if response.status_code < 400 or response.status_code in (403, 404, 405):
            return AudiodiffError(f"{self._url} does not answer as audiodiff does: {status}")
        return Failed(detail)


def _of_the_sound(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in _OF_THIS_REQUEST}


def _json(response: httpx.Response) -> dict[str, Any]:
    """The object in a response; empty if there is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
