"""Events of frames, as they come, to stretches of time in each of which the same is heard.

Frames are compared by their sounds, never by what is said of them. A stretch ends where other
sounds are heard, or none, for longer than ``BRIEF_S``.

Shapes: T frames, D features, K kinds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.sounds import LEAST
from model.events import SILENCE

PAUSE_S = 2.0
"""A sound that pauses for less goes on, as a dog does between two barks."""
BRIEF_S = 0.8
"""What is shorter ends no stretch and makes none."""
AUDIBLE = 0.3
"""In a stretch, some frame's likeliest sound is at least as likely."""
ALIKE = 0.4
"""Frames belong together if their sounds have so much in common: the weighted Jaccard index."""
TOLD_S = 10.0
"""Of a stretch so much is kept, from its start on, to tell of it."""


@dataclass
class Stretch:
    """The same sounds for a while."""

    start: int
    """Its first frame."""
    end: int
    """The frame after its last one."""
    frames: list[Tensor]
    """[D] each: up to ``TOLD_S``."""
    total: Tensor
    """[K]: the sum of its frames' events."""
    peaks: Tensor
    """[K]: each kind's highest probability."""

    def likeness(self, events: Tensor) -> float:
        """To a frame's events [K], in [0, 1]."""
        mean = self.total / (self.end - self.start)
        either = float(torch.maximum(mean, events).sum())
        return float(torch.minimum(mean, events).sum()) / either if either else 1.0


@dataclass
class Entries:
    """Takes the frames of a recording in their order, and finds the stretches."""

    labels: Sequence[str]
    frame_s: float
    _seen: int = 0
    """Frames that are settled: ``PAUSE_S`` later nothing changes them."""
    _raw: Tensor | None = None
    """[T, K]: the latest frames' events, of which those before ``_seen`` are but context."""
    _context: int = 0
    """How many those are."""
    _frames: list[Tensor] = field(default_factory=list)
    """[D] each: those not settled."""
    _open: Stretch | None = None
    """What goes on; silence too."""
    _doubtful: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Features and events of frames unlike ``_open``, which are not long enough yet."""

    def add(self, frames: Tensor, events: Tensor) -> Iterator[Stretch]:
        """Features [T, D] and events [T, K] of the next frames -> stretches that have ended."""
        self._frames.extend(frames)
        events = self._audible(events)
        self._raw = events if self._raw is None else torch.cat([self._raw, events])
        yield from self._settle(len(self._raw) - 2 * self._reach)

    def finish(self) -> Iterator[Stretch]:
        """Nothing follows."""
        if self._raw is not None:
            yield from self._settle(len(self._raw))
        if self._open is not None:
            self._extend(self._open)
            yield from self._heard(self._open)

    @property
    def settled_s(self) -> float:
        """Up to here nothing changes any more, but for where the last stretch ends."""
        return self._seen * self.frame_s

    @property
    def _reach(self) -> int:
        """Frames, half of a pause."""
        return round(PAUSE_S / self.frame_s / 2)

    def _audible(self, events: Tensor) -> Tensor:
        """What is too faint to be told of is nothing, and so is silence."""
        events = torch.where(events < LEAST, 0.0, events)
        if SILENCE in self.labels:
            events[:, self.labels.index(SILENCE)] = 0.0
        return events

    def _settle(self, until: int) -> Iterator[Stretch]:
        """Take the frames of ``_raw`` up to this one."""
        if until <= self._context:
            return
        assert self._raw is not None
        closed = _closed(self._raw, self._reach)[self._context : until]
        for frame, events in zip(self._frames[: len(closed)], closed, strict=True):
            yield from self._take(frame, events)
        del self._frames[: len(closed)]
        start = max(0, until - 2 * self._reach)
        self._raw, self._context = self._raw[start:], until - start

    def _take(self, frame: Tensor, events: Tensor) -> Iterator[Stretch]:
        """One frame, the next."""
        self._seen += 1
        if self._open is None:
            self._open = _stretch(self._seen - 1, [(frame, events)])
            return
        self._doubtful.append((frame, events))
        if self._open.likeness(events) >= ALIKE:
            self._extend(self._open)
        elif len(self._doubtful) * self.frame_s > BRIEF_S:
            yield from self._heard(self._open)
            self._open = _stretch(self._seen - len(self._doubtful), self._doubtful)
            self._doubtful = []

    def _extend(self, stretch: Stretch) -> None:
        """It goes on, and what was doubtful belongs to it."""
        for frame, events in self._doubtful:
            if len(stretch.frames) * self.frame_s < TOLD_S:
                stretch.frames.append(frame)
            stretch.total += events
            stretch.peaks = torch.maximum(stretch.peaks, events)
        stretch.end += len(self._doubtful)
        self._doubtful = []

    def _heard(self, stretch: Stretch) -> Iterator[Stretch]:
        """It, unless it is silence."""
        if float(stretch.peaks.max()) >= AUDIBLE:
            yield stretch


def _stretch(start: int, frames: Sequence[tuple[Tensor, Tensor]]) -> Stretch:
    events = torch.stack([one for _, one in frames])
    end = start + len(frames)
    return Stretch(start, end, [one for one, _ in frames], events.sum(0), events.amax(0))


def _closed(events: Tensor, reach: int) -> Tensor:
    """[T, K] -> the same with gaps of up to twice ``reach`` frames filled: a greyscale closing."""
    size = 2 * reach + 1
    series = events.T[None]
    dilated = F.max_pool1d(series, size, stride=1, padding=reach)
    return -F.max_pool1d(-dilated, size, stride=1, padding=reach)[0].T
