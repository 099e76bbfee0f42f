"""Keeping resident memory flat: what native libraries would keep for later is bounded."""

from __future__ import annotations

import os

_CONVOLUTIONS = 128
"""Kept by oneDNN, a dozen for each shape of a batch: clips of one length still find theirs."""


def bound_kernels() -> None:
    """Let oneDNN keep 128 convolutions with their code, not 1,024, one for each shape.

    To be called before the first one runs.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_CONVOLUTIONS))
