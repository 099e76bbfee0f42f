"""The road of a request: decode pool -> batcher -> worker; warm-up, drain and health.

Everything here runs on the event loop, but ``_prepare`` on the decode pool.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import BinaryIO, TypeVar

import torch

from engine import long, recording
from engine.answer import Answer
from engine.batcher import Batcher, Limits
from engine.cache import EncoderCache
from engine.compare import Comparison, Timeline
from engine.decoders import Decoders
from engine.errors import DeadlinePassed, NotReady, QueueFull, WorkerDied
from engine.observer import Observer
from engine.reading import Reader
from engine.settings import MIB, EngineSettings
from engine.stream import HeardWindow
from engine.worker import AnyCaptioner, Job, Prepared, StreamWindow, Work, Worker
from model.audio import DecodeLimits
from model.errors import AudioError, EmptyAudio, OptionsError
from model.types import Description, Encoded, GenerationOptions, SourceInfo, Style

T = TypeVar("T")
STREAM_RETRY_S = 30.0
"""Streams last; who finds no place for one need not ask at once again."""
RECORDING_S = 30.0
"""After so long, who may send no long recording now is to ask again."""


class Engine:
    """Owns the decode pool, its processes and, through the batcher, the model thread."""

    def __init__(
        self, settings: EngineSettings, captioner: AnyCaptioner, observer: Observer
    ) -> None:
        self._settings = settings
        self.captioner = captioner
        self.observer = observer
        longest_s = settings.max_audio_seconds
        self._decode_limits = DecodeLimits(longest_s, max_cpu_s=5 + longest_s / 20)
        self._decoders = Decoders(settings.decode_workers)
        # OpenMP keeps a team for each thread that computes, and once they outnumber the cores all
        # of them sleep between any two operations: only the model thread may have one.
        self._pool = ThreadPoolExecutor(
            settings.decode_workers, "decode", initializer=torch.set_num_threads, initargs=(1,)
        )
        self._cache = EncoderCache(int(settings.cache_mb * MIB), captioner.revision)
        self._batcher: Batcher[Job | StreamWindow, Work | HeardWindow] = Batcher(
            Worker(captioner, self._cache, observer).run,
            Limits(
                max_count=settings.max_batch_size,
                max_cost=settings.max_batch_seconds,
                max_wait_s=settings.max_wait_ms / 1000,
                # A window of each recording and stream: they take no request's place.
                max_queue=settings.max_queue + settings.max_timelines + settings.max_streams,
                max_queue_cost=settings.max_queue_seconds,
            ),
            set_up=captioner.warm_up,
            is_fatal=lambda error: isinstance(error, torch.AcceleratorError),
        )
        self._accepted = 0
        self._accepted_bytes = 0
        self._recordings = 0
        self._streams = 0
        self._drain_began: float | None = None
        observer.model(
            captioner.name, captioner.revision, str(captioner.device), dtype_name(captioner.dtype)
        )
        observer.watch("queue_depth", lambda: self._batcher.depth)
        observer.watch("queue_audio_seconds", lambda: self._batcher.queued_cost)
        observer.watch("model_ready", lambda: float(self.trouble() is None))
        observer.watch("device_memory_bytes", self._device_memory)
        observer.watch("decoders_ready", lambda: self._decoders.ready)
        observer.watch("streams", lambda: self._streams)

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the model thread, which warms up first; until then ``trouble`` says so.

        The decoders start beside it; who comes before they are up waits for them.
        """
        self._batcher.start()
        self._decoders.start()

    def begin_drain(self) -> None:
        """Accept nothing more; what was accepted goes on. Safe in a signal handler."""
        self._drain_began = self._drain_began or time.monotonic()

    @property
    def drained(self) -> bool:
        """Whether nothing accepted is left to answer, or the time for it is over."""
        return self._drain_began is not None and (self._idle or self._drain_left_s() == 0)

    @property
    def _idle(self) -> bool:
        return self._accepted == 0 and self._recordings == 0

    @property
    def died(self) -> bool:
        """Whether the model thread is dead; the process must be restarted."""
        return self._batcher.died

    async def finish(self) -> bool:
        """Work off the queue or, past the drain limit, fail it; True if nothing is left over."""
        self.begin_drain()
        limit_s = self._drain_left_s()
        idle = self._idle
        return await asyncio.to_thread(self._batcher.close, limit_s) and idle

    async def stop(self) -> None:
        """Finish, and let threads and processes go."""
        await self.finish()
        await asyncio.to_thread(self._decoders.close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def trouble(self) -> str | None:
        """Why no request is taken now; None when ready."""
        if self._batcher.died:
            return "the model thread has died; the service must be restarted"
        if self._drain_began is not None:
            return "the service is shutting down; try another instance"
        if not self._batcher.ready:
            return "the model is warming up; try again in a few seconds"
        # The worker beats every second and before each batch: one that takes twice a
        # request's patience hangs.
        if self._batcher.heartbeat_age_s > max(2 * self._settings.request_timeout_s, 10.0):
            return "the model thread does not respond; try another instance"
        if self._decoders.broken:
            return "no file can be decoded; try another instance"
        return None

    def check(self) -> None:
        """Raise WorkerDied or NotReady unless requests are taken."""
        if (trouble := self.trouble()) is not None:
            raise WorkerDied(trouble) if self.died else NotReady(trouble)

    # -- requests -----------------------------------------------------------------------------

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Hold a place from before a request's body is read until its answer is made.

        ``size`` is the body's in bytes, or the most it may be. Raises WorkerDied, NotReady or
        QueueFull.
        """
        self.check()
        full_bytes = self._accepted_bytes + size > self._settings.max_queue_mb * MIB
        if (
            self._accepted >= self._settings.max_queue
            or (self._accepted and full_bytes)
            or self._batcher.queued_cost >= self._settings.max_queue_seconds
        ):
            raise QueueFull("the queue is full; try again later", self._batcher.eta_s)
        self._accepted += 1
        self._accepted_bytes += size
        try:
            yield
        finally:
            self._accepted -= 1
            self._accepted_bytes -= size

    @contextmanager
    def admit_recording(self) -> Iterator[None]:
        """Hold a long recording's place, as ``admit`` does a request's.

        Its body is not counted: it lies on a disk.
        """
        self.check()
        if self._recordings >= self._settings.max_timelines:
            raise QueueFull(
                "as many long recordings are being heard as may be; try again later", RECORDING_S
            )
        self._recordings += 1
        try:
            yield
        finally:
            self._recordings -= 1

    async def answer(
        self,
        files: Mapping[str, BinaryIO],
        options: GenerationOptions,
        deadline: float,
        both: bool = False,
        reader: Reader | None = None,
    ) -> Answer:
        """Describe one file, or the first of two against the second; ``reader`` may read along.

        ``deadline`` is by ``time.monotonic``. Raises AudioError (the file is named),
        OptionsError, QueueFull, DeadlinePassed, Closed, WorkerDied or DeviceFailed, and what
        the captioner raised for this request alone. Cancelling withdraws it from the queue.
        """
        self.captioner.check(options)
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        async with before(deadline, "the audio was not decoded in time; try again later"):
            clips = await asyncio.gather(
                *(
                    loop.run_in_executor(self._pool, self._prepare, name, file)
                    for name, file in files.items()
                )
            )
        self.captioner.check(options, sum(clip.source.duration_s for clip in clips))
        queued = time.monotonic()
        future = self._batcher.submit(
            Job(tuple(clips), options, both, queued, reader),
            length=max(clip.source.duration_s for clip in clips),
            count=len(clips),
            deadline=deadline,
        )
        work = await _result(future, deadline)
        assert isinstance(work, Work)
        return Answer(
            {field: clip.source for field, clip in zip(files, clips, strict=True)},
            work.descriptions,
            *self.captioner.styles.get(
                options.style, (self.captioner.name, self.captioner.revision)
            ),
            {
                "decode": queued - began,
                "queue": work.queue_s,
                "encode": work.encode_s,
                "generate": work.generate_s,
            },
            work.batch_size,
        )

    async def timeline(
        self, file: BinaryIO, options: GenerationOptions
    ) -> AsyncGenerator[long.Item]:
        """Say what is heard when in a recording, a file on a disk; to be closed (``aclosing``).

        It waits for its turn as long as it takes. Raises AudioError, OptionsError, Closed,
        WorkerDied or DeviceFailed. Closing or cancelling stops the work.
        """
        self.captioner.check(options)
        if not self.captioner.labels:
            raise OptionsError("this checkpoint knows no kinds of sound: serve one that does")
        limits = DecodeLimits(self._settings.max_timeline_seconds)
        blocks = recording.blocks(file, self.captioner.sample_rate, limits)
        async with (
            aclosing(blocks),
            aclosing(
                long.listen(blocks, long.Ear(self.captioner, self._batcher, options))
            ) as items,
        ):
            async for item in items:
                yield item

    async def compare(
        self, files: Mapping[str, BinaryIO], options: GenerationOptions
    ) -> Comparison:
        """Say what is heard when in two long recordings, and in which alone; as ``timeline``."""
        self.check_recordings(options.style)
        timelines = {}
        for name, file in files.items():
            try:
                async with aclosing(self.timeline(file, options)) as items:
                    heard = [item async for item in items]
            except AudioError as error:
                raise type(error)(f"{name}: {error}") from error
            entries = [item for item in heard if isinstance(item, long.Entry)]
            (whole,) = (item for item in heard if isinstance(item, long.Whole))
            timelines[name] = Timeline(entries, whole)
        return Comparison(timelines)

    def check_recordings(self, style: Style) -> None:
        """Raise OptionsError for a style that tells nothing of long recordings."""
        if style != "rest":
            raise OptionsError(
                f"style {style} is for clips of at most "
                f"{self._settings.max_audio_seconds:g} s: send shorter ones, or leave style out"
            )

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Hold a place for a stream while it lasts. Raises WorkerDied, NotReady or QueueFull."""
        self.check()
        if self._streams >= self._settings.max_streams:
            raise QueueFull("as many streams are open as may be; try again later", STREAM_RETRY_S)
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def hear(self, window: StreamWindow, deadline: float) -> HeardWindow:
        """What a window of a stream has that its background has not, without a sentence.

        Raises as ``answer`` does.
        """
        length = window.clip.duration_s
        future = self._batcher.submit(window, length=length, count=1, deadline=deadline)
        heard = await _result(future, deadline)
        assert isinstance(heard, HeardWindow)
        return heard

    async def tell(
        self,
        clip: Encoded,
        background: Encoded,
        source: SourceInfo,
        options: GenerationOptions,
        deadline: float,
    ) -> Description:
        """The sentence for what a window has that its background has not. Raises as ``answer``."""
        # Keys of nothing: what a stream holds is in no other's place, and in no cache.
        clips = tuple(
            Prepared(secrets.token_bytes(16), source, frames) for frames in (clip, background)
        )
        future = self._batcher.submit(
            Job(clips, options, False, time.monotonic()),
            length=source.duration_s,
            count=2,
            deadline=deadline,
        )
        work = await _result(future, deadline)
        assert isinstance(work, Work)
        return work.descriptions[0]

    def _prepare(self, name: str, file: BinaryIO) -> Prepared:
        data = file.read()
        if not data:
            raise EmptyAudio(f"{name}: the file is empty; send an audio file")
        key = self._cache.key(data)
        if (cached := self._cache.get(key)) is not None:
            return Prepared(key, cached.source, cached.encoded)
        try:
            waveform = self.captioner.prepare(data, self._decode_limits, self._decoders.decode)
        except AudioError as error:
            raise type(error)(f"{name}: {error}") from error
        return Prepared(key, waveform.source, waveform)

    def _device_memory(self) -> float:
        if self.captioner.device.type != "cuda":
            return 0.0
        return float(torch.cuda.memory_reserved(self.captioner.device))

    def _drain_left_s(self) -> float:
        began = time.monotonic() if self._drain_began is None else self._drain_began
        return max(0.0, began + self._settings.drain_timeout_s - time.monotonic())


@asynccontextmanager
async def before(deadline: float, message: str) -> AsyncIterator[None]:
    """Raise DeadlinePassed with ``message`` if the block is not done by then."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            yield
    except TimeoutError as error:
        raise DeadlinePassed(message) from error


async def _result(future: Future[T], deadline: float) -> T:
    """Wait for a result; past the deadline withdraw what the model has not begun."""
    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.wait({waiter}, timeout=max(0.0, deadline - time.monotonic()))
        if not waiter.done() and future.cancel():
            raise DeadlinePassed("the model was not free in time; try again later")
        return await waiter
    finally:
        waiter.cancel()


def dtype_name(dtype: torch.dtype) -> str:
    """float32, not torch.float32."""
    return str(dtype).removeprefix("torch.")
