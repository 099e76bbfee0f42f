"""The bounds of one engine; ``service.settings.Settings`` reads them from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

MIB = 2**20
BACKGROUND_S, MIN_BACKGROUND_S, MAX_BACKGROUND_S = 120.0, 15.0, 1800.0
"""How far back a stream's background reaches: as a rule, at least, and at most."""


def cores() -> int:
    """Processors of this machine."""
    return os.cpu_count() or 1


@dataclass(frozen=True)
class EngineSettings:
    """What an engine holds at a time and how long it waits.

    The service has settings of the same names, which say more.
    """

    max_batch_size: int = 32
    max_batch_seconds: float = 320
    max_wait_ms: float = 0
    max_queue: int = 256
    max_queue_seconds: float = 3600
    max_queue_mb: float = 1024
    max_audio_seconds: float = 60
    max_timeline_seconds: float = 14_400
    max_timelines: int = 2
    request_timeout_s: float = 30
    decode_workers: int = field(default_factory=cores)
    cache_mb: float = 256
    max_streams: int = 16
    drain_timeout_s: float = 30
