"""One stream through an engine: samples in, events out."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch

from engine.engine import Engine
from engine.settings import MAX_BACKGROUND_S, MIN_BACKGROUND_S
from engine.stream import Samples, Stream, Windows
from engine.worker import StreamWindow
from model.errors import OptionsError
from model.types import Caption, GenerationOptions, Sound, SourceInfo, Waveform


@dataclass(frozen=True)
class Event:
    """Something that the background had not."""

    id: str
    time: datetime
    """When it began."""
    start_s: float
    """The same since the stream began, in seconds of its sound."""
    caption: Caption
    sounds: tuple[Sound, ...]
    """Those that are news, best first."""

    def to_json(self) -> dict[str, Any]:
        """One line of the command line, and one message of the API."""
        return {
            "id": self.id,
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "start_s": self.start_s,
            "caption": self.caption.text,
            "score": self.caption.score,
            "novelty": self.sounds[0].score,
            "sounds": [{"label": one.label, "score": one.score} for one in self.sounds],
        }


class Listener:
    """Hears one stream; what it keeps is bounded by ``background_s``."""

    def __init__(
        self,
        engine: Engine,
        background_s: float,
        options: GenerationOptions,
        patience_s: float = math.inf,
    ) -> None:
        """``patience_s`` is how long a window may wait for the model.

        Raises OptionsError if the checkpoint cannot tell sounds apart or an option cannot be met.
        """
        captioner = engine.captioner
        if not captioner.labels:
            raise OptionsError("this checkpoint has no event head; listen with one that has")
        if not MIN_BACKGROUND_S <= background_s <= MAX_BACKGROUND_S:
            raise OptionsError(
                f"the background must be {MIN_BACKGROUND_S:g} to {MAX_BACKGROUND_S:g} s, "
                f"not {background_s:g}"
            )
        captioner.check(options)
        self._engine = engine
        self._options = options
        self._patience_s = patience_s
        self.sample_rate = captioner.sample_rate
        self.stream = Stream.at(self.sample_rate, captioner.frame_s, background_s)
        self._windows = Windows(self.stream.size, self.stream.hop)
        self._length = 0

    async def hear(self, samples: Samples, at: float, arrived: float) -> AsyncIterator[Event]:
        """[S] more at the checkpoint's rate.

        The last of them is of the Unix time ``at`` and came at ``arrived`` by ``time.monotonic``.
        Raises what ``Engine.hear`` and ``Engine.tell`` do.
        """
        self._length += len(samples)
        async for event in self._events(self._windows.feed(samples), at, arrived):
            yield event

    async def end(self, at: float, arrived: float) -> AsyncIterator[Event]:
        """What was not heard for want of a whole window: the stream ends, or was broken."""
        async for event in self._events(self._windows.end(), at, arrived):
            yield event

    async def _events(
        self, windows: Iterator[tuple[int, Samples]], at: float, arrived: float
    ) -> AsyncIterator[Event]:
        began = at - self._length / self.sample_rate
        for start, samples in windows:
            event = await self._event(start, samples, began)
            self._engine.observer.listened(time.monotonic() - arrived, event is not None)
            if event:
                yield event

    async def _event(self, start: int, samples: Samples, began: float) -> Event | None:
        """What is news in a window; ``began`` is the Unix time of the stream's first sample."""
        source = SourceInfo(len(samples) / self.sample_rate, self.sample_rate, 1, "pcm")
        clip = Waveform(torch.from_numpy(samples), self.sample_rate, source)
        background = self.stream.background(start)
        heard = await self._engine.hear(StreamWindow(clip, background), self._deadline())
        news = self.stream.news(start, heard)
        if background is None or not news:
            return None
        description = await self._engine.tell(
            heard.frames, background, source, self._options, self._deadline()
        )
        onset = min(event.start_s for sound in news for event in sound.events)
        start_s = round(start / self.sample_rate + onset, 3)
        when = datetime.fromtimestamp(began + start_s, UTC)
        return Event(uuid.uuid4().hex, when, start_s, description.best, news)

    def _deadline(self) -> float:
        return time.monotonic() + self._patience_s
