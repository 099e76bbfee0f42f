"""A recording on its way through the engine: entries at their times, few windows at a time."""

from __future__ import annotations

import asyncio
import io
import math
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import BinaryIO

import pytest

from engine.engine import Engine
from engine.errors import NotReady, QueueFull
from engine.long import Entry, Progress, Whole
from engine.observer import Unobserved
from engine.settings import EngineSettings
from model.errors import AudioTooLong, CorruptAudio, OptionsError, UnsupportedFormat
from model.types import GenerationOptions
from tests.support.audio import by_soundfile
from tests.support.captioner import FakeCaptioner
from tests.support.process import decoders
from tests.support.tones import RATE, ToneCaptioner, recording

OPTIONS = GenerationOptions(num_beams=2)
FRAME_S = ToneCaptioner.frame_s
WAIT_S = 60


def on_disk(data: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file


def run(
    test: Callable[[Engine], Awaitable[None]],
    captioner: FakeCaptioner | None = None,
    **settings: float,
) -> None:
    async def main() -> None:
        own = EngineSettings(**{"decode_workers": 1, **settings})
        engine = Engine(own, captioner or ToneCaptioner(), Unobserved())
        engine.start()
        while engine.trouble() is not None:
            await asyncio.sleep(0.001)
        try:
            await asyncio.wait_for(test(engine), WAIT_S)
        finally:
            await engine.stop()

    asyncio.run(main())


PLACED = (("Dog", 3.0, 5.0), ("Rain", 12.0, 40.5), ("Dog", 50.0, 57.3), ("Rain", 57.3, 61.0))


def test_entries_are_where_the_sounds_are() -> None:
    captioner = ToneCaptioner()

    async def test(engine: Engine) -> None:
        with on_disk(by_soundfile(recording(64.0, *PLACED), RATE)) as file:
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                found = [item async for item in items]
        entries = [item for item in found if isinstance(item, Entry)]
        assert [one.sounds[0].label for one in entries] == [kind for kind, *_ in PLACED]
        assert [one.caption for one in entries] == [
            f"a {kind.lower()} is heard" for kind, *_ in PLACED
        ]
        for one, (_, start, end) in zip(entries, PLACED, strict=True):
            assert one.start_s == pytest.approx(start, abs=FRAME_S)
            assert one.end_s == pytest.approx(end, abs=FRAME_S)
        heard = [item.heard_s for item in found if isinstance(item, Progress)]
        assert heard == sorted(heard)
        assert isinstance(found[-1], Whole)
        assert found[-1].source.duration_s == 64.0
        assert found[-1].summary.startswith("Heard in 1 min 4 s: rain (2 times, 33 s) and dog (2 ")

    run(test, captioner)
    assert {options for _, options in captioner.described} == {OPTIONS}
    assert not decoders()


def test_one_window_is_in_the_queue_and_nothing_is_kept() -> None:
    most = 0

    async def test(engine: Engine) -> None:
        def look(_: int) -> None:
            nonlocal most
            most = max(most, engine._batcher.depth)

        captioner.before_encode = look
        with on_disk(by_soundfile(recording(300.0, *PLACED), RATE)) as file:
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                found = [item async for item in items]
        assert isinstance(found[-1], Whole)
        assert engine._cache.size == 0

    captioner = ToneCaptioner()
    run(test, captioner)
    assert most == 0  # beside the one that is worked on
    assert all(len(batch) == 1 for batch in captioner.encoded)


def test_windows_and_clips_are_encoded_apart() -> None:
    captioner = ToneCaptioner()
    captioner.gate.clear()

    async def test(engine: Engine) -> None:
        clip = by_soundfile(recording(3.2, ("Dog", 0.0, 3.0)), RATE)

        async def caption(number: int) -> None:
            file = io.BytesIO(clip + bytes(number))  # the cache knows none of them
            await engine.answer({"file": file}, OPTIONS, math.inf)

        first = asyncio.create_task(caption(1))
        await asyncio.to_thread(captioner.entered.acquire)
        with on_disk(by_soundfile(recording(9.6), RATE)) as file:
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                window = asyncio.ensure_future(anext(items))
                second = asyncio.create_task(caption(2))
                while engine._batcher.depth < 2:
                    await asyncio.sleep(0.01)
                captioner.gate.set()
                await asyncio.gather(first, second, window)

    run(test, captioner)
    assert captioner.encoded == [[3.2], [3.2], [9.6]]


def test_who_closes_it_stops_the_work() -> None:
    captioner = ToneCaptioner()

    async def test(engine: Engine) -> None:
        with on_disk(by_soundfile(recording(300.0), RATE)) as file:
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                await anext(items)
                assert decoders()
        assert not decoders()
        assert engine._batcher.depth == 0

    run(test, captioner)
    assert len(captioner.encoded) < 20


def test_a_decoder_that_ends_gives_what_was_heard() -> None:
    async def test(engine: Engine) -> None:
        placed = ("Dog", 1.0, 4.0)
        with on_disk(by_soundfile(recording(3000.0, placed), RATE)) as file:
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                found = [await anext(items)]
                decoders()[0].kill()
                found += [item async for item in items]
        whole = found[-1]
        assert isinstance(whole, Whole)
        assert 10 < whole.source.duration_s < 3000
        (warning,) = whole.source.warnings
        assert warning.endswith("its decoder crashed, or took too much time or memory.")
        assert any(isinstance(item, Entry) for item in found)

    run(test)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no sound", UnsupportedFormat),
        (b"RIFF\0\0\0\0WAVE", CorruptAudio),
        (by_soundfile(recording(30.0), RATE), AudioTooLong),
    ],
)
def test_a_bad_recording_is_refused(data: bytes, error: type[Exception]) -> None:
    async def test(engine: Engine) -> None:
        with on_disk(data) as file, pytest.raises(error):
            async with aclosing(engine.timeline(file, OPTIONS)) as items:
                await anext(items)
        assert not decoders()

    run(test, max_timeline_seconds=20)


def test_a_model_without_sounds_makes_no_timelines() -> None:
    async def test(engine: Engine) -> None:
        with on_disk(b"") as file, pytest.raises(OptionsError, match="knows no kinds of sound"):
            await anext(engine.timeline(file, OPTIONS))

    run(test, FakeCaptioner())


def test_so_many_recordings_and_no_more() -> None:
    async def test(engine: Engine) -> None:
        with engine.admit_recording():
            with pytest.raises(QueueFull):
                engine.admit_recording().__enter__()
            with engine.admit(1):  # requests have places of their own
                pass
            engine.begin_drain()
            assert not engine.drained
            with pytest.raises(NotReady):
                engine.admit_recording().__enter__()
        assert engine.drained

    run(test, max_timelines=1)
