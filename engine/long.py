"""A recording of any length -> what is heard when, as it goes: windows, stretches, captions.

Windows overlap, so that every frame is heard with what lies around it; they are encoded like any
clips, one at a time. Of their frames ``entries`` makes stretches, and of each stretch's own
frames the decoder makes a sentence: nothing is encoded twice for it, and no sentence says what is
heard elsewhere.

Shapes: S samples, T frames.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from engine.batcher import Batcher
from engine.entries import Entries, Stretch
from engine.errors import QueueFull
from engine.sounds import sounds
from engine.stream import HeardWindow
from engine.summary import Tally
from engine.windows import Cutter, Window
from engine.worker import AnyCaptioner, Heard, Job, Prepared, StreamWindow, Work
from model.types import Encoded, GenerationOptions, Sound, SourceInfo, Waveform

FULL_S = 0.2
"""Between two tries to put one into a queue that is full."""


@dataclass(frozen=True)
class Entry:
    """What is heard from then to then."""

    start_s: float
    end_s: float
    caption: str
    sounds: tuple[Sound, ...]
    """Best first; when each is heard is not told."""

    def to_json(self) -> dict[str, Any]:
        """As the HTTP API has it."""
        heard = [{"label": one.label, "score": one.score} for one in self.sounds]
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "caption": self.caption,
            "sounds": heard,
        }


@dataclass(frozen=True)
class Progress:
    """Up to here nothing else is heard than the entries so far, or one that has not ended yet."""

    heard_s: float

    def to_json(self) -> dict[str, Any]:
        """As the HTTP API has it."""
        return asdict(self)


@dataclass(frozen=True)
class Whole:
    """All is heard."""

    source: SourceInfo
    summary: str
    """One sentence."""

    def to_json(self) -> dict[str, Any]:
        """As the HTTP API has it."""
        audio = asdict(self.source) | {"warnings": [*self.source.warnings]}
        return {"audio": audio, "summary": self.summary}


Item = Entry | Progress | Whole


class Ear:
    """One recording's way to the model, through the queue of all requests."""

    def __init__(
        self,
        captioner: AnyCaptioner,
        batcher: Batcher[Job | StreamWindow, Work | HeardWindow],
        options: GenerationOptions,
    ) -> None:
        self.labels = captioner.labels
        self.sample_rate = captioner.sample_rate
        self.frame_s = captioner.frame_s
        self._batcher = batcher
        self._options = options

    async def hear(self, samples: Tensor) -> Heard:
        """What is in a window [S]."""
        source = self._source(len(samples) / self.sample_rate)
        waveform = Waveform(samples, self.sample_rate, source)
        (heard,) = (await self._work(waveform, source, None)).heard
        return heard

    async def tell(self, frames: Sequence[Tensor]) -> str:
        """A sentence on a stretch of frames [D]."""
        source = self._source(len(frames) * self.frame_s)
        work = await self._work(Encoded.of(torch.stack([*frames])), source, self._options)
        return work.descriptions[0].best.text

    def _source(self, seconds: float) -> SourceInfo:
        return SourceInfo(seconds, self.sample_rate, 1, "part")

    async def _work(
        self, content: Waveform | Encoded, source: SourceInfo, options: GenerationOptions | None
    ) -> Work:
        """Wait for a place in the queue, and then for the model."""
        clip = Prepared(os.urandom(16), source, content, passing=True)
        while True:
            job = Job((clip,), options, both=False, queued_at=time.monotonic())
            try:
                future = self._batcher.submit(job, length=source.duration_s)
            except QueueFull:
                await asyncio.sleep(FULL_S)
            else:
                work = await asyncio.wrap_future(future)
                assert isinstance(work, Work)
                return work


async def listen(
    blocks: AsyncIterator[tuple[Tensor, SourceInfo]], ear: Ear
) -> AsyncGenerator[Item]:
    """Entries in their order, progress after each window, and at last the whole.

    One thing at a time: a recording never has more than that in the queue. Raises what ``blocks``
    and the queue do.
    """
    frame_s = ear.frame_s
    cutter = Cutter(round(frame_s * ear.sample_rate), frame_s)
    entries = Entries(ear.labels, frame_s)
    tally = Tally()
    source = None

    async def ended(window: Window) -> Iterator[Stretch]:
        heard = await ear.hear(window.samples)
        return entries.add(heard.encoded.frames[0, window.kept], heard.events[window.kept])

    async def told(stretch: Stretch) -> Entry:
        caption = await ear.tell(stretch.frames)
        heard = sounds(stretch.peaks[None], ear.labels, frame_s)
        start_s, end_s = (round(at * frame_s, 2) for at in (stretch.start, stretch.end))
        tally.add(start_s, end_s, heard[0].label)
        return Entry(start_s, end_s, caption, heard)

    async for block in blocks:
        samples, source = block
        for window in cutter.add(samples):
            for stretch in await ended(window):
                yield await told(stretch)
            yield Progress(round(entries.settled_s, 2))
    for stretch in chain(await ended(cutter.finish()), entries.finish()):
        yield await told(stretch)
    yield Progress(round(entries.settled_s, 2))
    assert source is not None, "there is a block even of nothing"
    yield Whole(source, tally.sentence(source.duration_s))
