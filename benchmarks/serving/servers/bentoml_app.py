"""BentoML: an API service that decodes, before a batching one that captions."""

from __future__ import annotations

import pickle
from pathlib import Path

import bentoml

from benchmarks.serving.servers.shared import MAX_BATCH, describe, load
from model.audio import decode
from model.types import Waveform

RATE = 16_000


@bentoml.service(traffic={"timeout": 120, "max_concurrency": 1000})
class Captions:
    """The two routes, with an adaptive batch behind them."""

    def __init__(self) -> None:
        self.captioner = load()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=60_000)
    def run(self, requests: list[bytes]) -> list[str]:
        """Batched by BentoML, which would take dataclasses apart: they come pickled."""
        return describe(self.captioner, [pickle.loads(request) for request in requests])


@bentoml.service(traffic={"timeout": 120, "max_concurrency": 1000})
class Api:
    """Decodes; awaits the batching service."""

    captions = bentoml.depends(Captions)

    async def _answer(self, *paths: Path) -> dict[str, str]:
        clips: tuple[Waveform, ...] = tuple(decode(path.read_bytes(), RATE) for path in paths)
        return {"caption": (await self.captions.to_async.run([pickle.dumps(clips)]))[0]}

    @bentoml.api(route="/caption")
    async def caption(self, file: Path) -> dict[str, str]:
        """One file."""
        return await self._answer(file)

    @bentoml.api(route="/difference")
    async def difference(self, input: Path, reference: Path) -> dict[str, str]:  # noqa: A002
        """Two files."""
        return await self._answer(input, reference)
