"""``audiodiff listen``: a source to lines of events, and to a webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TextIO

from cli.outbox import Webhook
from cli.sources import Piece, Source, pieces
from engine.engine import Engine
from engine.errors import WorkerDied
from engine.listener import Event, Listener
from model.audio.live import LiveResampler
from model.errors import AudiodiffError
from service.metrics import Metrics


async def listen(
    source: Source,
    listener: Listener,
    engine: Engine,
    metrics: Metrics,
    output: TextIO,
    webhook: Webhook | None,
    warn: Callable[[str], None],
) -> int:
    """Write an event per line until the source ends; 0, or 1 if events are left in the outbox.

    Raises AudioError if the source cannot be read, AudiodiffError once the model thread is dead.
    """

    def deliver(event: Event) -> None:
        line = json.dumps({**event.to_json(), "source": source.name})
        if webhook:
            webhook.put(event.id, line.encode())
        print(line, file=output, flush=True)

    engine.start()
    hearing = asyncio.create_task(_hear(source, listener, metrics, deliver, warn))
    tasks = [hearing, *([asyncio.create_task(webhook.run())] if webhook else [])]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except WorkerDied as error:
        raise AudiodiffError("the model thread died; see above") from error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.stop()
    if webhook and (left := await webhook.last_try()):
        warn(f"{left} events wait in the outbox; they are sent when it is used again")
        return 1
    return 0


async def _hear(
    source: Source,
    listener: Listener,
    metrics: Metrics,
    deliver: Callable[[Event], None],
    warn: Callable[[str], None],
) -> None:
    last: Piece | None = None
    resample: LiveResampler | None = None
    broke = False

    async def end() -> None:
        if last and resample:
            async for event in listener.hear(resample.end(), last.at, last.arrived):
                deliver(event)
            async for event in listener.end(last.at, last.arrived):
                deliver(event)

    async for piece in pieces(source, lambda fault: warn(f"{fault}; it is opened again")):
        if piece is None or (last and piece.rate != last.rate):
            await end()
            resample = None
        if piece is None:
            broke = True
            continue
        if broke:
            metrics.reconnected()
            broke = False
        resample = resample or LiveResampler(piece.rate, listener.sample_rate)
        last = piece
        async for event in listener.hear(resample(piece.samples), piece.at, piece.arrived):
            deliver(event)
    await end()
