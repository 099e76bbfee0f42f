"""The engine over a fake captioner, without HTTP."""

from __future__ import annotations

import asyncio
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.answer import Answer
from engine.batcher import Batcher
from engine.engine import Engine
from engine.errors import DeadlinePassed, DeviceFailed, NotReady, QueueFull
from engine.observer import Observer, Unobserved
from engine.settings import MIB, EngineSettings
from model.errors import AudioTooShort, OptionsError
from model.types import GenerationOptions, SourceInfo
from tests.support.captioner import OUT_OF_MEMORY, POISON, FakeCaptioner, clip

WAIT_S = 20


class Counting(Unobserved):
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[float], int]] = []
        self.tokens = 0
        self.gauges: dict[str, Callable[[], float]] = {}
        self.models: list[tuple[str, ...]] = []
        self.sounds: Counter[str] = Counter()

    def model(self, *what: str) -> None:
        self.models.append(what)

    def watch(self, gauge: str, read: Callable[[], float]) -> None:
        self.gauges[gauge] = read

    def batch(self, lengths: Sequence[float], encoded: int) -> None:
        self.batches.append(([*lengths], encoded))

    def generated(self, tokens: int) -> None:
        self.tokens += tokens

    def heard(self, labels: Iterable[str]) -> None:
        self.sounds.update(labels)


def run(
    test: Callable[[Engine, FakeCaptioner], Awaitable[None]],
    observer: Observer | None = None,
    **settings: Any,
) -> FakeCaptioner:
    """Run a test in a started engine."""
    captioner = FakeCaptioner()

    async def main() -> None:
        own = EngineSettings(**{"decode_workers": 2, **settings})
        engine = Engine(own, captioner, observer or Unobserved())
        engine.start()
        await ready(engine)
        try:
            await asyncio.wait_for(test(engine, captioner), WAIT_S)
        finally:
            captioner.gate.set()
            await engine.stop()

    asyncio.run(main())
    return captioner


async def ready(engine: Engine) -> None:
    while engine.trouble() is not None:
        await asyncio.sleep(0.001)


def ask(
    engine: Engine,
    *files: bytes,
    options: GenerationOptions = GenerationOptions(),  # noqa: B008
    deadline_s: float = WAIT_S,
    both: bool = False,
) -> asyncio.Task[Answer]:
    names = ("input", "reference") if len(files) == 2 else ("file",)
    return asyncio.create_task(
        engine.answer(
            dict(zip(names, map(io.BytesIO, files), strict=True)),
            options,
            time.monotonic() + deadline_s,
            both,
        )
    )


@asynccontextmanager
async def occupied(engine: Engine, captioner: FakeCaptioner) -> AsyncIterator[None]:
    """The model thread is stopped in a first batch while the block runs."""
    captioner.gate.clear()
    first = ask(engine, clip(1))
    assert await asyncio.to_thread(captioner.entered.acquire, timeout=WAIT_S)
    yield
    captioner.gate.set()
    await first


async def queued(engine: Engine, depth: int) -> None:
    while engine._batcher.depth != depth:
        await asyncio.sleep(0.001)


def texts(answer: Answer) -> list[str]:
    return [description.best.text for description in answer.descriptions]


def test_captions_and_differences_share_a_batch_and_one_thread() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            tasks = [
                ask(engine, clip(2)),
                ask(engine, clip(3, 2.0), clip(4, 1.0)),
                ask(engine, clip(5), clip(6), both=True),
            ]
            await queued(engine, 3)
        answers = await asyncio.gather(*tasks)
        assert [texts(answer) for answer in answers] == [
            ["sound 2"],
            ["sound 3 without 4"],
            ["sound 5 without 6", "sound 6 without 5"],
        ]
        assert [answer.batch_size for answer in answers] == [5, 5, 5]
        assert all(set(a.stages) == {"decode", "queue", "encode", "generate"} for a in answers)

    captioner = run(test)
    assert sorted(captioner.encoded[1]) == [2, 3, 4, 5, 6]
    assert len(captioner.encoded) == 2
    assert captioner.described[1][0] == 4
    assert captioner.threads == {"model"}, "warm-up, encoding and generation"


def test_generation_is_batched_by_options() -> None:
    wide, narrow = GenerationOptions(num_beams=4), GenerationOptions(num_beams=1)

    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            options = (wide, narrow, wide, narrow, wide)
            tasks = [ask(engine, clip(n), options=o) for n, o in enumerate(options)]
            await queued(engine, 5)
        assert [texts(a) for a in await asyncio.gather(*tasks)] == [
            [f"sound {n}"] for n in range(5)
        ]

    captioner = run(test)
    assert len(captioner.encoded) == 2
    assert sorted(captioner.described[1:], key=lambda call: call[0]) == [(2, narrow), (3, wide)]


def test_options_that_cannot_be_met_are_refused_before_anything_is_done() -> None:
    async def test(engine: Engine, _: FakeCaptioner) -> None:
        with pytest.raises(OptionsError, match="at most 4"):
            await ask(engine, b"no audio", options=GenerationOptions(num_captions=7))

    assert run(test).encoded == []


def test_clips_of_one_content_are_encoded_once_in_a_batch_and_after_it() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            tasks = [
                ask(engine, clip(2), clip(9)),
                ask(engine, clip(3), clip(9)),
                ask(engine, clip(9)),
            ]
            await queued(engine, 3)
        assert [texts(a) for a in await asyncio.gather(*tasks)] == [
            ["sound 2 without 9"],
            ["sound 3 without 9"],
            ["sound 9"],
        ]
        again = await ask(engine, clip(4), clip(9), both=True)
        assert texts(again) == ["sound 4 without 9", "sound 9 without 4"]
        assert again.sources["reference"] == SourceInfo(1.0, 44100, 2, "json")

    observer = Counting()
    captioner = run(test, observer)
    assert sum(encoded for _, encoded in observer.batches) == 5
    assert sum(len(lengths) - encoded for lengths, encoded in observer.batches) == 3
    assert [sorted(batch) for batch in captioner.encoded] == [[1], [2, 3, 9], [4]]
    assert captioner.prepared.count(9) <= 3, "what is in the cache is not decoded either"


def test_without_a_cache_a_batch_still_encodes_a_clip_once() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            task = ask(engine, clip(2), clip(2))
            await queued(engine, 1)
        assert texts(await task) == ["sound 2 without 2"]
        assert texts(await ask(engine, clip(2))) == ["sound 2"]

    assert run(test, cache_mb=0).encoded == [[1], [2], [2]]


@pytest.mark.parametrize(
    ("number", "error"), [(POISON, RuntimeError), (OUT_OF_MEMORY, DeviceFailed)]
)
def test_a_clip_that_the_device_fails_on_fails_alone(number: int, error: type[Exception]) -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            tasks = [ask(engine, clip(n)) for n in (2, 3, number, 4)]
            await queued(engine, 4)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(2), error)
        assert [texts(a) for a in answers if isinstance(a, Answer)] == [
            ["sound 2"],
            ["sound 3"],
            ["sound 4"],
        ]
        assert not engine.died

    run(test)


def test_a_bad_file_is_named_and_never_reaches_the_model() -> None:
    async def test(engine: Engine, _: FakeCaptioner) -> None:
        with pytest.raises(AudioTooShort, match=r"^reference: as the file asks"):
            await ask(engine, clip(1), clip(2, error="AudioTooShort"))

    assert run(test).encoded == []


def test_a_deadline_passes_while_the_model_is_busy() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            with pytest.raises(DeadlinePassed):  # at once, not when the batch is done
                await ask(engine, clip(2), deadline_s=0.05)
            assert engine._batcher.depth == 0

    assert run(test).encoded == [[1]]


def test_a_batch_that_was_cut_in_time_is_waited_for() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        captioner.gate.clear()
        task = ask(engine, clip(2), deadline_s=0.5)
        assert await asyncio.to_thread(captioner.entered.acquire, timeout=WAIT_S)
        done, _ = await asyncio.wait({task}, timeout=0.6)
        assert not done
        captioner.gate.set()
        assert texts(await task) == ["sound 2"]

    run(test)


def test_a_cancelled_request_leaves_the_queue() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            gone, stays = ask(engine, clip(2)), ask(engine, clip(3))
            await queued(engine, 2)
            gone.cancel()
            await queued(engine, 1)
        assert texts(await stays) == ["sound 3"]

    assert run(test).encoded == [[1], [3]]


def test_places_are_counted_and_given_back() -> None:
    async def test(engine: Engine, _: FakeCaptioner) -> None:
        with engine.admit(1), engine.admit(1), pytest.raises(QueueFull):
            engine.admit(1).__enter__()
        with pytest.raises(ValueError, match="on the way"), engine.admit(1):
            raise ValueError("on the way")
        with engine.admit(1), engine.admit(1):
            pass

    run(test, max_queue=2)


def test_bytes_in_hand_are_bounded_but_any_one_body_is_taken() -> None:
    async def test(engine: Engine, _: FakeCaptioner) -> None:
        with engine.admit(5 * MIB), pytest.raises(QueueFull):
            engine.admit(1).__enter__()
        with engine.admit(3 * MIB), engine.admit(MIB), pytest.raises(QueueFull):
            engine.admit(1).__enter__()

    run(test, max_queue_mb=4)


def test_seconds_that_wait_close_the_door() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        async with occupied(engine, captioner):
            waiting = ask(engine, clip(2, 30.0))
            await queued(engine, 1)
            with pytest.raises(QueueFull), engine.admit(1):
                pytest.fail("admitted")
        await waiting

    run(test, max_queue_seconds=30)


def test_draining_takes_nothing_and_finishes_what_was_accepted() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        with engine.admit(1):
            async with occupied(engine, captioner):
                accepted = ask(engine, clip(2))
                await queued(engine, 1)
                engine.begin_drain()
                assert not engine.drained
                with pytest.raises(NotReady, match="shutting down"), engine.admit(1):
                    pytest.fail("admitted")
            assert texts(await accepted) == ["sound 2"]
        assert engine.drained
        assert await engine.finish()

    run(test)


def test_draining_ends_at_its_limit_and_leaves_no_one_waiting() -> None:
    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        captioner.gate.clear()
        with engine.admit(1):
            hung = ask(engine, clip(2))
            assert await asyncio.to_thread(captioner.entered.acquire, timeout=WAIT_S)
            engine.begin_drain()
            while not engine.drained:
                await asyncio.sleep(0.001)
            assert not await engine.finish()
            with pytest.raises(Exception, match="shut down before"):
                await hung

    run(test, drain_timeout_s=0.05)


def test_a_model_thread_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: Engine, _: FakeCaptioner) -> None:
        monkeypatch.setattr(Batcher, "heartbeat_age_s", 59.0)
        assert engine.trouble() is None
        monkeypatch.setattr(Batcher, "heartbeat_age_s", 61.0)
        assert "does not respond" in (engine.trouble() or "")

    run(test)


def test_an_observer_is_told_what_happens() -> None:
    observer = Counting()

    async def test(engine: Engine, captioner: FakeCaptioner) -> None:
        assert observer.gauges["model_ready"]() == 1
        async with occupied(engine, captioner):
            waiting = ask(engine, clip(2, 3.0), clip(3, 2.0))
            await queued(engine, 1)
            assert observer.gauges["queue_depth"]() == 1
            assert observer.gauges["queue_audio_seconds"]() == 6.0, "padding counts"
        await waiting
        engine.begin_drain()
        assert observer.gauges["model_ready"]() == 0

    run(test, observer)
    assert observer.models == [("fake", "0123abcd", "cpu", "float32")]
    assert observer.batches == [([1.0], 1), ([3.0, 2.0], 2)]
    assert observer.tokens == 2 * 3
    assert observer.sounds == {"Dog": 2, "Rain": 1}
    assert observer.gauges["device_memory_bytes"]() == 0
