"""Decoding in processes: what a file does to its own, and that nobody else notices."""

from __future__ import annotations

import asyncio
import io
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
import torch

from engine import decoders
from engine.decoders import Decoders
from engine.engine import Engine
from engine.errors import Closed
from engine.observer import Unobserved
from engine.settings import EngineSettings
from model.audio import DecodeLimits, decode
from model.errors import AudioTooLarge, AudioTooLong, CorruptAudio, UnsupportedFormat
from model.types import GenerationOptions
from tests.support.audio import by_ffmpeg, by_soundfile
from tests.support.captioner import HearingCaptioner

RATE = 16_000
SOUND = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
WAV = by_soundfile(SOUND, 44_100)
HURRIED = DecodeLimits(max_cpu_s=1)


@pytest.fixture(autouse=True)
def _bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MODULE", "tests.support.bad_decoder")


@pytest.fixture
def pool() -> Iterator[Decoders]:
    """One process."""
    pool = Decoders(1)
    pool.start()
    yield pool
    pool.close()


def test_it_decodes_as_this_process_would(pool: Decoders) -> None:
    files = [WAV, WAV[:-500], by_ffmpeg(SOUND.astype(np.float32), RATE, "mp3", "libmp3lame")]
    for data in files:
        there, here = pool.decode(data, RATE, DecodeLimits()), decode(data, RATE)
        assert torch.equal(there.samples, here.samples)
        assert (there.source, there.sample_rate) == (here.source, RATE)
    assert pool.ready == 1
    assert not pool.broken


def test_errors_and_limits_are_those_of_this_process(pool: Decoders) -> None:
    with pytest.raises(UnsupportedFormat) as here:
        decode(b"a text", RATE)
    with pytest.raises(UnsupportedFormat) as there:
        pool.decode(b"a text", RATE, DecodeLimits())
    assert str(there.value) == str(here.value)
    with pytest.raises(AudioTooLong, match=r"longer than 0\.1 s"):
        pool.decode(WAV, RATE, DecodeLimits(max_seconds=0.1))
    assert pool.decode(WAV, RATE, DecodeLimits(max_seconds=math.inf)).samples.shape[0] > 0
    with pytest.raises(RuntimeError, match="a fault of ours"):
        pool.decode(b"fail", RATE, DecodeLimits())


def test_a_file_that_loops_or_crashes_fails_alone(
    pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WALL", 1000)  # the kernel is to count the time
    for data in (b"loop", b"crash"):
        with pytest.raises(CorruptAudio, match=r"crashed, or took too much .* Export"):
            pool.decode(data, RATE, HURRIED)
        assert pool.decode(WAV, RATE, DecodeLimits()).samples.shape[0] > 0


def test_a_file_that_takes_too_much_memory_is_too_large(pool: Decoders) -> None:
    with pytest.raises(AudioTooLarge, match="more memory"):
        pool.decode(b"eat", RATE, DecodeLimits())
    assert pool.decode(WAV, RATE, DecodeLimits()).samples.shape[0] > 0


def test_a_file_that_does_nothing_for_ever_is_given_up(
    pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "WALL", 0.2)
    with pytest.raises(CorruptAudio):
        pool.decode(b"sleep", RATE, HURRIED)
    assert pool.decode(WAV, RATE, DecodeLimits(max_cpu_s=300)).samples.shape[0] > 0


def test_others_go_on_while_one_hangs() -> None:
    pool = Decoders(2)
    pool.start()
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(pool.decode, b"sleep", RATE, DecodeLimits(max_cpu_s=300))
        for _ in range(3):
            assert pool.decode(WAV, RATE, DecodeLimits()).samples.shape[0] > 0
        assert not hanging.done()
        pool.close()
        with pytest.raises(Closed):
            hanging.result()
    with pytest.raises(Closed):
        pool.decode(WAV, RATE, DecodeLimits())


def test_a_process_that_ends_while_idle_is_nobodys_fault(pool: Decoders) -> None:
    pool.decode(WAV, RATE, DecodeLimits())
    (process,) = pool._processes
    for number in (signal.SIGINT, signal.SIGTERM):  # as whoever stops the service may send to all
        os.kill(process._child.pid, number)
    pool.decode(WAV, RATE, DecodeLimits())
    assert {process} == pool._processes
    os.kill(process._child.pid, signal.SIGKILL)
    process._child.wait()
    assert pool.decode(WAV, RATE, DecodeLimits()).samples.shape[0] > 0
    assert {process} != pool._processes


def test_processes_that_cannot_be_started_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "RETRY_S", 0.01)
    monkeypatch.setattr(decoders, "MODULE", "tests.support.no_such_module")
    pool = Decoders(2)
    pool.start()
    until(lambda: pool.broken)
    assert pool.ready == 0
    monkeypatch.setattr(decoders, "MODULE", "engine.decoder")
    assert pool.decode(WAV, RATE, DecodeLimits()).samples.shape[0] > 0
    until(lambda: pool.ready == 2)
    until(lambda: not pool.broken)
    pool.close()


def test_a_process_that_cannot_be_killed_is_counted(
    pool: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.decode(WAV, RATE, DecodeLimits())
    monkeypatch.setattr(decoders, "WALL", 0.1)
    with ThreadPoolExecutor(1) as threads, monkeypatch.context() as patched:
        patched.setattr(subprocess.Popen, "kill", lambda _: None)
        hanging = threads.submit(pool.decode, b"sleep", RATE, HURRIED)
        until(lambda: pool.broken)
        assert pool.ready == 0
        (process,) = pool._processes
        process._child.send_signal(signal.SIGKILL)
        with pytest.raises(CorruptAudio):
            hanging.result()
    until(lambda: pool.ready == 1)
    assert not pool.broken


def test_limits_are_handed_over_whole() -> None:
    assert DecodeLimits(**asdict(HURRIED)) == HURRIED


def test_an_engine_answers_others_and_ends_in_time_though_a_file_hangs() -> None:
    async def main() -> None:
        settings = EngineSettings(decode_workers=2, drain_timeout_s=0.05, max_audio_seconds=6000)
        engine = Engine(settings, HearingCaptioner(), Unobserved())
        engine.start()
        until(lambda: engine.trouble() is None)

        def ask(data: bytes) -> asyncio.Task[object]:
            files = {"file": io.BytesIO(data)}
            deadline = time.monotonic() + 100
            return asyncio.create_task(engine.answer(files, GenerationOptions(), deadline))

        with engine.admit(1):
            hanging = ask(b"sleep")
            with pytest.raises(CorruptAudio, match=r"^file: The file cannot be decoded"):
                await ask(b"crash")
            await ask(WAV)
            assert engine.trouble() is None
            await engine.stop()
            with pytest.raises(Closed):
                await hanging
        assert not any(thread.name.startswith("decode_") for thread in alive())

    def alive() -> list[threading.Thread]:
        for thread in threading.enumerate():
            if thread.name.startswith("decode_"):
                thread.join(20)
        return [*threading.enumerate()]

    asyncio.run(main())


def until(condition: object) -> None:
    """Wait; the test's own time limit ends what never comes."""
    assert callable(condition)
    pause = threading.Event()
    while not condition():
        pause.wait(0.005)
