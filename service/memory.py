"""Keeping resident memory flat: what native libraries would keep for later is given back.

Batches differ in length, so that buffers of ever other sizes are freed: glibc keeps the holes, and
oneDNN keeps its last 1,024 convolutions, one for each shape, with the code it has compiled.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

_CONVOLUTIONS = 128
"""Kept by oneDNN, a dozen for each shape of a batch: clips of one length still find theirs."""
_EVERY_S = 20.0


def bound_kernels() -> None:
    """Let oneDNN keep few convolutions; to be called before the first one runs."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_CONVOLUTIONS))


def _malloc_trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc's alone
        trim(0)


class Trimmer:
    """Gives freed memory back to the system now and then."""

    def __init__(
        self,
        trim: Callable[[], None] = _malloc_trim,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trim = trim
        self._clock = clock
        self._due = clock() + _EVERY_S

    def tick(self) -> None:
        """Trim if the last time is long ago."""
        if self._clock() >= self._due:
            self._trim()
            self._due = self._clock() + _EVERY_S
