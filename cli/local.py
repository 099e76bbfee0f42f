"""Answers by the model in this process, on the service's own road: decode pool, batcher, worker."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import BinaryIO

from cli.describe import Failed, Reply
from cli.timeline import Told
from engine.engine import Engine
from engine.errors import WorkerDied
from engine.long import Whole
from engine.observer import Unobserved
from engine.settings import EngineSettings
from engine.worker import AnyCaptioner
from model.errors import AudiodiffError, AudioError, AudioTooLong, OptionsError
from model.types import GenerationOptions

MAX_IN_FLIGHT = 64
"""Clips decoded ahead of the model: two batches."""
MAX_SECONDS = 7200
"""The most audio decoded ahead: half a GiB at 16 kHz."""


class LocalModel:
    """Runs ``captioner`` as the service does, so that the answers are the service's."""

    def __init__(
        self,
        captioner: AnyCaptioner,
        settings: EngineSettings,
        options: GenerationOptions,
        *,
        both: bool = False,
        events: bool = False,
    ) -> None:
        """Raises OptionsError if the options cannot be met."""
        captioner.check(options)
        self.in_flight = min(MAX_IN_FLIGHT, max(1, int(MAX_SECONDS / settings.max_audio_seconds)))
        own = replace(settings, max_queue=MAX_IN_FLIGHT, max_queue_seconds=math.inf)
        self._model = {"name": captioner.name, "revision": captioner.revision}
        self._engine = Engine(own, captioner, Unobserved())
        self._options = options
        self._both = both
        self._events = events

    async def __aenter__(self) -> None:
        """Start the model thread, which warms up while the first files are decoded."""
        self._engine.start()

    async def __aexit__(self, *_: object) -> None:
        """Let the threads go; a batch that has begun is finished."""
        await self._engine.stop()

    async def describe(self, files: Mapping[str, BinaryIO]) -> Reply:
        """Raises AudioError, Failed, or AudiodiffError once the model thread is dead."""
        with _failures():
            try:
                answer = await self._engine.answer(files, self._options, math.inf, self._both)
            except AudioTooLong:
                if "reference" not in files:
                    raise
                compared = await self._engine.compare(files, self._options)
                return {**compared.to_json(), "model": self._model}
        return answer.to_json(events=self._events)

    async def listen(self, file: BinaryIO) -> AsyncGenerator[Told]:
        """As the service's lines. Raises as ``describe``."""
        with _failures():
            async with aclosing(self._engine.timeline(file, self._options)) as items:
                async for item in items:
                    whole = {"model": self._model} if isinstance(item, Whole) else {}
                    yield {**whole, **item.to_json()}


@contextmanager
def _failures() -> Iterator[None]:
    """What goes wrong with a file is Failed; AudioError and what ends the run go through."""
    try:
        yield
    except (AudioError, OptionsError):
        raise
    except WorkerDied as error:
        raise AudiodiffError("the model thread died; see above") from error
    except Exception as error:
        raise Failed(str(error) or type(error).__name__) from error
