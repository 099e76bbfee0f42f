"""A recording to windows that overlap: every frame is heard with what lies around it.

Shapes: S samples, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW_S = 10.24
"""What is encoded at a time; whole frames of it."""
MARGIN_S = 1.92
"""At either end of a window, frames that are only heard for the sake of the others."""


@dataclass(frozen=True)
class Window:
    """A stretch of samples, and which of its frames count."""

    samples: Tensor
    """[S]"""
    kept: slice


class Cutter:
    """Samples, as they come, to windows whose kept frames lie side by side."""

    def __init__(self, frame: int, frame_s: float) -> None:
        """``frame`` samples of ``frame_s`` seconds."""
        self._frame = frame
        self._margin = round(MARGIN_S / frame_s)
        self._size = round(WINDOW_S / frame_s)
        self._samples = torch.empty(0)
        self._first = True

    def add(self, samples: Tensor) -> list[Window]:
        """The windows that are whole, and not the last."""
        self._samples = torch.cat([self._samples, samples])
        found = []
        # One that nothing follows is the last, of which the end counts as well.
        while len(self._samples) > self._size * self._frame:
            end = self._size - self._margin
            window = self._samples[: self._size * self._frame]
            found.append(Window(window, slice(self._start, end)))
            self._samples = self._samples[(end - self._margin) * self._frame :]
            self._first = False
        return found

    def finish(self) -> Window:
        """The last one, filled up with silence to a whole frame."""
        lacking = -len(self._samples) % self._frame
        padded = F.pad(self._samples, (0, lacking))
        return Window(padded, slice(self._start, len(padded) // self._frame))

    @property
    def _start(self) -> int:
        """The first frame of the next window that counts."""
        return 0 if self._first else self._margin
