"""Events of frames, as they come, to stretches of time in each of which the same is heard.

Frames are compared by their sounds, never by what is said of them. A stretch ends where nothing
is heard, or something else for a while.

Shapes: T frames, D features, K kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.sounds import LEAST
from model.events import SILENCE

PAUSE_S = 2.0
"""A sound that pauses for less goes on, as a dog does between two barks."""
CHANGE_S = 2.0
"""Other sounds end a stretch once they are heard for longer."""
FAINT = 0.2
"""A frame whose likeliest sound is less likely is silent."""
AUDIBLE = 0.3
"""In a stretch, some frame's likeliest sound is at least as likely."""
ALIKE = 0.2
"""A frame belongs to a stretch with whose mean it has so much in common (weighted Jaccard)."""
TOLD_S = 10.0
"""Of a stretch so much is kept, from its start on, to tell of it."""

Frame = tuple[Tensor, Tensor]
"""Features [D] and events [K]."""


class Stretch:
    """The same sounds for a while."""

    def __init__(self, start: int, frames: Sequence[Frame], most: int) -> None:
        """From the frame ``start`` on; the features of ``most`` frames are kept."""
        self.start = self.end = start
        self.frames: list[Tensor] = []
        """[D] each."""
        self.peaks = torch.zeros_like(frames[0][1])
        """[K]: each kind's highest probability."""
        self._total = torch.zeros_like(self.peaks)
        self._most = most
        self.extend(frames)

    def extend(self, frames: Iterable[Frame]) -> None:
        """These follow."""
        for features, events in frames:
            if len(self.frames) < self._most:
                self.frames.append(features)
            self._total += events
            self.peaks = torch.maximum(self.peaks, events)
            self.end += 1

    def likeness(self, events: Tensor) -> float:
        """Of its mean frame and one that is not silent, by their events; in [0, 1]."""
        mean = self._total / (self.end - self.start)
        return float(torch.minimum(mean, events).sum() / torch.maximum(mean, events).sum())


class Entries:
    """Takes the frames of a recording in their order, and finds the stretches."""

    def __init__(self, labels: Sequence[str], frame_s: float) -> None:
        """What the K kinds are called; seconds per frame."""
        self._silence = [kind for kind, label in enumerate(labels) if label == SILENCE]
        self._frame_s = frame_s
        self._reach = round(PAUSE_S / frame_s / 2)
        self._most = round(TOLD_S / frame_s)
        self._nothing = torch.zeros(2 * self._reach, len(labels))
        """[T, K]: as it is before the recording, and after it."""
        self._raw = self._nothing
        """[T, K]: the latest frames' events; the first ``_context`` of them are settled."""
        self._context = len(self._nothing)
        self._unsettled: list[Tensor] = []
        """[D] each: features of the frames that are not."""
        self._settled = 0
        """Frames in all that nothing changes any more."""
        self._open: Stretch | None = None
        """None while nothing is heard."""
        self._others: list[Frame] = []
        """The latest frames, unlike ``_open``."""

    def add(self, features: Tensor, events: Tensor) -> Iterator[Stretch]:
        """[T, D] and [T, K] of the next frames -> the stretches that have ended."""
        events = torch.where(events < LEAST, 0.0, events)
        events[:, self._silence] = 0.0
        self._raw = torch.cat([self._raw, events])
        self._unsettled.extend(features)
        yield from self._settle(len(self._raw) - len(self._nothing))

    def finish(self) -> Iterator[Stretch]:
        """Nothing follows."""
        self._raw = torch.cat([self._raw, self._nothing])
        yield from self._settle(len(self._raw) - len(self._nothing))
        yield from self._end()

    @property
    def settled_s(self) -> float:
        """Nothing changes any more up to here, but for where the open stretch ends."""
        return self._settled * self._frame_s

    def _settle(self, until: int) -> Iterator[Stretch]:
        """The frames of ``_raw`` before this one."""
        if until <= self._context:
            return
        closed = _closed(self._raw, self._reach)[self._context : until]
        for frame in zip(self._unsettled[: len(closed)], closed, strict=True):
            yield from self._take(frame)
            self._settled += 1
        del self._unsettled[: len(closed)]
        first = until - len(self._nothing)
        self._raw, self._context = self._raw[first:], until - first

    def _take(self, frame: Frame) -> Iterator[Stretch]:
        """The next one."""
        _, events = frame
        if float(events.max()) < FAINT:
            yield from self._end()
        elif self._open is None:
            self._open = Stretch(self._settled, [frame], self._most)
        elif self._open.likeness(events) >= ALIKE:
            self._open.extend([*self._others, frame])
            self._others = []
        else:
            self._others.append(frame)
            if len(self._others) * self._frame_s > CHANGE_S:
                others, self._others = self._others, []
                yield from self._end()
                start = self._settled + 1 - len(others)
                self._open = Stretch(start, others, self._most)

    def _end(self) -> Iterator[Stretch]:
        """The open one ends; others were too brief for one of their own."""
        if self._open is not None:
            self._open.extend(self._others)
            if float(self._open.peaks.max()) >= AUDIBLE:
                yield self._open
        self._open, self._others = None, []


def _closed(events: Tensor, reach: int) -> Tensor:
    """[T, K] -> the same with gaps of up to twice ``reach`` frames filled: a greyscale closing."""
    size = 2 * reach + 1
    dilated = F.max_pool1d(events.T[None], size, stride=1, padding=reach)
    return -F.max_pool1d(-dilated, size, stride=1, padding=reach)[0].T
