"""A stream against its own background: what is heard that the last minutes had not.

No threads, no clock and no model: windows are cut from samples as they come, and what a model heard
in each is told apart into background and news. Positions are in samples since the stream began.

Shapes: S samples, T encoder frames, D features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.types import Encoded, Sound

WINDOW_S, HOP_S = 4.8, 1.6
"""What is heard at a time, and how much of it is new; rounded to whole encoder frames."""
SETTLE_S = 10.0
"""Background that must be there before anything can be news."""
CLEAR = 0.5
"""Probability, of what the background leaves of a sound, from which on it is news."""
FAINT = 0.2
"""The same in two windows one after the other; but not while something that was told goes on: of
one sound the model says several things."""
OVER = 2.0
"""By how much it must exceed what the background has left of the same sound lately."""

Samples = NDArray[np.float32]


class Windows:
    """Cuts windows that overlap; holds less than a window and what it is fed."""

    def __init__(self, size: int, hop: int) -> None:
        """In samples."""
        self._size, self._hop = size, hop
        self._samples: Samples = np.zeros(0, np.float32)
        self._start = 0
        self._cut_to = 0

    def feed(self, samples: Samples) -> Iterator[tuple[int, Samples]]:
        """[S] more -> where each window starts, and the window."""
        self._samples = np.concatenate([self._samples, samples])
        while len(self._samples) >= self._size:
            yield self._start, self._samples[: self._size].copy()
            self._cut_to = self._start + self._size
            self._start += self._hop
            self._samples = self._samples[self._hop :]

    def end(self) -> Iterator[tuple[int, Samples]]:
        """The last window: what no other has is at its end, and silence fills it up.

        What follows is fed to windows that begin anew.
        """
        end = self._start + len(self._samples)
        if end > self._cut_to:
            missing = self._size - len(self._samples)
            yield self._start, np.pad(self._samples, (0, missing))
        self._start = self._cut_to = end
        self._samples = self._samples[:0]


@dataclass(frozen=True)
class HeardWindow:
    """What a model says of a window."""

    frames: Encoded
    """[1, T, D]."""
    new: tuple[Sound, ...]
    """The sounds that the background leaves of it."""


@dataclass(frozen=True)
class _Past:
    """What was left of an earlier window's sounds."""

    end: int
    scores: Mapping[str, float]
    told: bool
    """Whether something in it was news, or had been and went on."""


@dataclass
class Stream:
    """The background of one stream, and what it makes news of.

    A window's background is what was heard before it began. What stays becomes background; what has
    been gone for as long as the background reaches is news when it comes back.
    """

    size: int
    """Samples of a window."""
    hop: int
    """Samples from one window to the next."""
    frame: int
    """Samples of an encoder frame."""
    reach: int
    """Samples that the background reaches back."""
    settle: int
    """Samples of background before anything can be news."""
    _frames: deque[tuple[int, Tensor]] = field(default_factory=deque)
    """The first hop of each window: where it ends, and its frames [T, D]."""
    _past: deque[_Past] = field(default_factory=deque)

    @classmethod
    def at(cls, sample_rate: int, frame_s: float, background_s: float) -> Stream:
        """For a model's rate in hertz and its frames' seconds."""
        frame = round(frame_s * sample_rate)

        def frames(seconds: float) -> int:
            return max(1, round(seconds / frame_s)) * frame

        return cls(frames(WINDOW_S), frames(HOP_S), frame, frames(background_s), frames(SETTLE_S))

    def background(self, start: int) -> Encoded | None:
        """What was heard before a window that starts there; None if nothing was."""
        while self._frames and self._frames[0][0] <= start - self.reach:
            self._frames.popleft()
        before = [frames for end, frames in self._frames if end <= start]
        return Encoded.of(torch.cat(before)) if before else None

    def news(self, start: int, heard: HeardWindow) -> tuple[Sound, ...]:
        """The sounds of the window that starts there that are to be told, best first.

        ``heard`` is what is in it beside its background. Windows come in their order, each once.
        """
        settled = sum(end <= start for end, _ in self._frames) * self.hop >= self.settle
        while self._past and self._past[0].end <= start - self.reach:
            self._past.popleft()
        # Windows that this one overlaps hold the beginning of what may be news now.
        known = [one for one in self._past if one.end <= start or one.told]
        last = self._past[-1] if self._past else _Past(0, {}, False)

        def is_news(sound: Sound) -> bool:
            faint = min(sound.score, last.scores.get(sound.label, 0.0)) >= FAINT and not last.told
            most = max((one.scores.get(sound.label, 0.0) for one in known), default=0.0)
            return (sound.score >= CLEAR or faint) and sound.score >= OVER * most

        told = tuple(filter(is_news, heard.new)) if settled else ()
        goes_on = last.told and any(sound.score >= FAINT for sound in heard.new)
        scores = {sound.label: sound.score for sound in heard.new}
        self._past.append(_Past(start + self.size, scores, bool(told) or goes_on))
        # A copy: a view would keep the frames of the whole batch.
        first = heard.frames.frames[0, : self.hop // self.frame].clone()
        self._frames.append((start + self.hop, first))
        return told
