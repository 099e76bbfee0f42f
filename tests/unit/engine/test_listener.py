"""Streams through an engine, over a captioner that compares frames by their value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.errors import DeadlinePassed, NotReady, QueueFull
from engine.listener import Event, Listener
from engine.observer import Unobserved
from engine.settings import EngineSettings
from model.errors import OptionsError
from model.types import GenerationOptions
from tests.support.captioner import RATE, FakeCaptioner, StreamCaptioner

OPTIONS = GenerationOptions()


class Counting(Unobserved):
    """Keeps what it is told of windows."""

    def __init__(self) -> None:
        self.windows: list[tuple[float, bool]] = []

    def listened(self, lag_s: float, told: bool) -> None:
        self.windows.append((lag_s, told))


def run(
    test: Callable[[Engine, StreamCaptioner], Awaitable[None]],
    observer: Unobserved | None = None,
    **settings: Any,
) -> None:
    """Run a test in a started engine."""

    async def body() -> None:
        captioner = StreamCaptioner()
        engine = Engine(
            EngineSettings(decode_workers=1, **settings), captioner, observer or Unobserved()
        )
        engine.start()
        try:
            while engine.trouble():
                await asyncio.sleep(0.01)
            await test(engine, captioner)
        finally:
            captioner.gate.set()
            await engine.stop()

    asyncio.run(body())


def sound(*parts: tuple[float, float]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Values, each for so many seconds."""
    return np.concatenate(
        [np.full(round(seconds * RATE), value, np.float32) for value, seconds in parts]
    )


async def heard(listener: Listener, samples: Any, at: float = 0.0) -> list[Event]:
    """All events of samples that come in pieces of a second, and then end."""
    events = []
    pieces = np.split(samples, range(RATE, len(samples), RATE))
    length = 0
    for piece in pieces:
        length += len(piece)
        async for event in listener.hear(piece, at + length / RATE, time.monotonic()):
            events.append(event)
    async for event in listener.end(at + length / RATE, time.monotonic()):
        events.append(event)
    return events


def test_an_event_says_what_is_new_and_since_when() -> None:
    async def test(engine: Engine, _: StreamCaptioner) -> None:
        listener = Listener(engine, 30, OPTIONS)
        (event,) = await heard(listener, sound((0, 20), (0.5, 3), (0, 20)), at=1e9)
        assert event.start_s == 20.0
        assert event.time == datetime.fromtimestamp(1e9 + 20, UTC)
        told = event.to_json()
        assert told["time"] == "2001-09-09T01:47:00.000Z"
        assert told["caption"] == "sound 0.5 begins"
        assert told["novelty"] == 0.9
        assert told["sounds"] == [{"label": "sound 0.5", "score": 0.9}]
        assert told["id"] == event.id

    run(test)


def test_what_stays_is_told_once_and_what_comes_back_after_the_background_again() -> None:
    async def test(engine: Engine, captioner: StreamCaptioner) -> None:
        listener = Listener(engine, 30, OPTIONS)
        samples = sound((0, 20), (0.5, 20), (0, 10), (0.5, 10), (0, 40), (0.5, 5))
        assert [event.start_s for event in await heard(listener, samples)] == [20.0, 100.0]
        assert len(captioner.described) == 2, "only what is told needs a sentence"

    run(test)


def test_the_end_of_a_stream_is_heard() -> None:
    async def test(engine: Engine, _: StreamCaptioner) -> None:
        listener = Listener(engine, 30, OPTIONS)
        events = await heard(listener, sound((0, 20.5), (0.5, 0.5)))
        assert [event.start_s for event in events] == [20.5]

    run(test)


def test_streams_share_batches_and_know_nothing_of_each_other() -> None:
    async def test(engine: Engine, captioner: StreamCaptioner) -> None:
        streams = [
            heard(Listener(engine, 30, OPTIONS), sound((0, 20), (0.3, 3), (0, 5))) for _ in range(3)
        ] + [heard(Listener(engine, 30, OPTIONS), sound((0.3, 20), (0, 3)))]
        found = await asyncio.gather(*streams)
        assert [[event.caption.text for event in events] for events in found] == [
            *[["sound 0.3 begins"]] * 3,
            ["sound 0 begins"],
        ]
        assert max(sizes[0] for sizes in captioner.encoded) > 1

    run(test)


def test_windows_are_counted_with_their_lag() -> None:
    observer = Counting()

    async def test(engine: Engine, captioner: StreamCaptioner) -> None:
        listener = Listener(engine, 30, OPTIONS)
        await heard(listener, sound((0, 20), (0.5, 4)))
        assert sum(told for _, told in observer.windows) == 1
        assert len(observer.windows) == len(captioner.encoded)
        assert all(0 <= lag < 60 for lag, _ in observer.windows)

    run(test, observer)


def test_a_window_for_which_the_model_is_not_free_in_time_is_given_up() -> None:
    async def test(engine: Engine, captioner: StreamCaptioner) -> None:
        captioner.gate.clear()
        blocker = asyncio.create_task(heard(Listener(engine, 30, OPTIONS), sound((0, 6))))
        await asyncio.to_thread(captioner.entered.acquire)
        with pytest.raises(DeadlinePassed):
            await heard(Listener(engine, 30, OPTIONS, patience_s=0.05), sound((0, 6)))
        captioner.gate.set()
        await blocker

    run(test)


def test_there_is_a_place_for_so_many_streams() -> None:
    async def test(engine: Engine, _: StreamCaptioner) -> None:
        with (
            engine.streaming(),
            engine.streaming(),
            pytest.raises(QueueFull),
            engine.streaming(),
        ):
            pass
        with engine.streaming():
            pass
        engine.begin_drain()
        with pytest.raises(NotReady), engine.streaming():
            pass

    run(test, max_streams=2)


@pytest.mark.parametrize("seconds", [0, 14.9, 1801, float("nan")])
def test_a_background_has_bounds(seconds: float) -> None:
    engine = Engine(EngineSettings(decode_workers=1), StreamCaptioner(), Unobserved())
    with pytest.raises(OptionsError, match="15 to 1800"):
        Listener(engine, seconds, OPTIONS)


def test_a_checkpoint_without_events_cannot_listen() -> None:
    captioner = FakeCaptioner()
    captioner.labels = ()
    engine = Engine(EngineSettings(decode_workers=1), captioner, Unobserved())
    with pytest.raises(OptionsError, match="event head"):
        Listener(engine, 120, OPTIONS)
