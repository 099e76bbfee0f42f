"""One request of each kind, and what became of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from benchmarks.robustness.hostile import EXPECTED
from benchmarks.robustness.mutations import mutant
from benchmarks.robustness.seeds import seeds

GRACE_S = 10.0
"""An answer may come so long after the service's limit: the model finishes what it has begun."""
TOLERANCE_S = 0.05
"""A frame of any codec is no longer: so much more or less sound is none lost."""
REFUSED = (400, 413, 415, 422)
BUSY = (429, 503)
"""What the contract allows when there is too much."""
BROKEN, HUNG = 0, -1
"""In place of a status: the connection failed, or no answer came in time."""


@dataclass(frozen=True)
class Outcome:
    """A request's fate."""

    kind: str
    """good, bad or hostile"""
    number: int
    name: str
    """The format, or what the client did."""
    mutation: str
    status: int
    seconds: float
    warned: bool = False
    lost_s: float = 0.0
    """Sound that must be there, is not heard, and is not told of."""
    crashed: bool = False
    """Whether its decoder had to be replaced."""
    fault: str = ""
    """What should not have happened."""


class Client:
    """Asks the service."""

    def __init__(
        self, url: str, seed: int, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url, self._seed = url, seed
        self._http = httpx.AsyncClient(base_url=url, timeout=None, transport=transport)
        self._limit_s = 60.0
        self._said: dict[str, str] = {}
        """Format -> the caption of the intact file."""
        self._heard: dict[str, float] = {}
        """Format -> its seconds."""

    async def start(self) -> None:
        """Ask for the service's time limit, and have every intact file described once."""
        info = (await self._http.get("/info")).raise_for_status().json()
        self._limit_s = info["limits"]["request_timeout_s"] + GRACE_S
        for seed in seeds():
            answer = (await self._post({"file": seed.data})).raise_for_status().json()
            self._said[seed.format] = answer["caption"]
            self._heard[seed.format] = answer["audio"]["duration_s"]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether the service takes requests."""
        return (await self._http.get("/readyz")).status_code == 200

    async def good(self, number: int) -> Outcome:
        """An intact file, which must be described as it was at the start."""
        seed = seeds()[number % len(seeds())]
        began = time.perf_counter()
        status, body = await self._ask({"file": seed.data})
        fault = _fault(status, (200, *BUSY))
        if status == 200 and body["caption"] != self._said[seed.format]:
            fault = f"described as {body['caption']!r}, formerly {self._said[seed.format]!r}"
        seconds = time.perf_counter() - began
        return Outcome("good", number, seed.format, "", status, seconds, fault=fault)

    async def bad(self, number: int) -> Outcome:
        """A mutant; each eighth is compared with an intact file, as the one or the other."""
        made = mutant(number, self._seed)
        files, field = {"file": made.data}, "audio"
        if number % 8 == 7:
            intact = seeds()[0].data
            field = "input" if number % 16 == 7 else "reference"
            other = "reference" if field == "input" else "input"
            files = {field: made.data, other: intact}
        began = time.perf_counter()
        status, body = await self._ask(files)
        seconds = time.perf_counter() - began
        audio = body[field] if status == 200 else {"warnings": [], "duration_s": 0.0}
        lost = 0.0
        if status == 200 and made.known and not audio["warnings"]:
            lost = max(0.0, self._heard[made.format] - TOLERANCE_S - audio["duration_s"])
        return Outcome(
            "bad",
            number,
            made.format,
            made.mutation,
            status,
            seconds,
            bool(audio["warnings"]),
            lost,
            "its decoder crashed" in body.get("detail", ""),
            _fault(status, (200, *REFUSED, *BUSY)),
        )

    async def hostile(self, number: int) -> Outcome:
        """A client that does not behave, with an intact file."""
        client = [*EXPECTED][number % len(EXPECTED)]
        address = urlsplit(self._url)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._limit_s):
                status = await client(address.hostname or "", address.port or 80, seeds()[0].data)
            fault = _fault(status, (*EXPECTED[client], *BUSY))
        except OSError:
            status, fault = BROKEN, "the connection failed"
        except TimeoutError:
            status, fault = HUNG, _fault(HUNG, ())
        seconds = time.perf_counter() - began
        return Outcome("hostile", number, client.__name__, "", status, seconds, fault=fault)

    async def _ask(self, files: dict[str, bytes]) -> tuple[int, dict[str, object]]:
        """Status and body."""
        try:
            async with asyncio.timeout(self._limit_s):
                response = await self._post(files)
        except httpx.TransportError:
            return BROKEN, {}
        except TimeoutError:
            return HUNG, {}
        return response.status_code, response.json()

    async def _post(self, files: dict[str, bytes]) -> httpx.Response:
        path = "/caption" if "file" in files else "/difference"
        named = {field: ("clip", data) for field, data in files.items()}
        return await self._http.post(path, files=named)


def _fault(status: int, allowed: tuple[int, ...]) -> str:
    if status in allowed:
        return ""
    if status == HUNG or status == 504:
        return "hang"
    return f"answered {status}" if status else "the connection broke"
