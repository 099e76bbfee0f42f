"""One worker: a captioner on an engine of its own, which does one part after the other."""

from __future__ import annotations

import asyncio
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from engine.captioner import Captioner
from engine.corpus import storage
from engine.corpus.folder import Folder
from engine.engine import Engine, dtype_name
from engine.errors import WorkerDied
from engine.observer import Unobserved
from engine.settings import EngineSettings
from engine.worker import AnyCaptioner
from model.errors import CheckpointError
from model.types import GenerationOptions

IN_FLIGHT = 128
"""Files decoded ahead of the model: four batches, from which those of one length go together."""
MAX_SECONDS = 7200
"""The most audio decoded ahead: half a GiB at 16 kHz."""


@dataclass(frozen=True)
class Order:
    """What every worker is told."""

    output: str
    model: Path
    revision: str
    """That which the directory must hold, on every machine."""
    device: str
    dtype: str
    runtime: str
    compile_cache: Path | None
    options: GenerationOptions
    events: bool
    max_audio_seconds: float
    settings: Mapping[str, Any]
    """What the answers depend on: the same for all of a corpus, and told in its metadata."""
    version: str
    cores: int = 1
    """For the model's threads, and as many decoders."""


class Describer:
    """Rows of files to rows of answers."""

    def __init__(self, captioner: AnyCaptioner, order: Order) -> None:
        self._options = order.options
        self._events = order.events
        longest_s = order.max_audio_seconds
        self._in_flight = min(IN_FLIGHT, max(1, int(MAX_SECONDS / longest_s)))
        self._engine = Engine(
            EngineSettings(
                max_queue=IN_FLIGHT,
                max_queue_seconds=math.inf,
                max_audio_seconds=longest_s,
                decode_workers=order.cores,
            ),
            captioner,
            Unobserved(),
        )
        self._engine.start()

    def describe(self, files: Sequence[Mapping[str, str | None]]) -> list[dict[str, Any]]:
        """An answer or an error for each, in order. Raises WorkerDied."""

        async def all_of_them() -> list[dict[str, Any]]:
            room = asyncio.Semaphore(self._in_flight)

            async def one(file: Mapping[str, str | None]) -> dict[str, Any]:
                async with room:
                    return {**await self._answer(file), **file}

            return await asyncio.gather(*map(one, files))

        return asyncio.run(all_of_them())

    def close(self) -> None:
        """End the engine's threads and processes."""
        asyncio.run(self._engine.stop())

    async def _answer(self, file: Mapping[str, str | None]) -> dict[str, Any]:
        fields = ("file",) if file["reference"] is None else ("input", "reference")
        opened = {
            field: cast(BinaryIO, _Later(path))
            for field, path in zip(fields, (file["path"], file["reference"]), strict=False)
        }
        try:
            answer = await self._engine.answer(opened, self._options, math.inf)
        except WorkerDied:
            raise
        except Exception as error:
            return {"error": _reason(error).removeprefix("file: ")}
        source = answer.sources[fields[0]]
        return {
            **answer.to_json(events=self._events),
            "duration_s": source.duration_s,
            "warnings": source.warnings,
        }


class Worker:
    """What Ray Data keeps on a place: it is called with a part's number, and writes the part."""

    def __init__(self, order: Order) -> None:
        """Raises CheckpointError."""
        torch.set_num_threads(order.cores)
        captioner = Captioner.from_dir(
            order.model, order.device, order.dtype, order.runtime, order.compile_cache
        )
        if captioner.revision != order.revision:
            raise CheckpointError(
                f"{order.model} holds revision {captioner.revision} on this machine, and "
                f"{order.revision} where the run was started: copy one of them to all"
            )
        place = {"device": captioner.device.type, "dtype": dtype_name(captioner.dtype)}
        self._about = {"version": order.version, **order.settings, **place}
        self._folder = Folder(order.output)
        self._describer = Describer(captioner, order)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Do the parts of a batch; the batch."""
        for part in map(int, batch["part"]):
            began = time.monotonic()
            unfinished = self._folder.attempt(part)
            rows = self._describer.describe(self._folder.files(part))
            took = {"seconds": round(time.monotonic() - began, 3)}
            self._folder.write(part, unfinished, rows, {**self._about, **took})
        return batch

    def close(self) -> None:
        """End its threads and processes, which the end of this process ends too."""
        self._describer.close()


class _Later(io.RawIOBase):
    """A file that is opened when it is read, by which time there is a decoder for it."""

    def __init__(self, path: str | None) -> None:
        assert path is not None
        self._path = path

    def readall(self) -> bytes:
        return storage.read(self._path)


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
