"""A day of stream through everything but a model's networks: what the process holds."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from resource import getpagesize

import numpy as np
import torch

from engine.engine import Engine
from engine.listener import Listener
from engine.observer import Unobserved
from engine.settings import BACKGROUND_S, EngineSettings
from model.audio import Decode, DecodeLimits
from model.types import (
    Caption,
    Description,
    Encoded,
    GenerationOptions,
    Interval,
    Sound,
    Style,
    Waveform,
)

WIDTH = 915
"""Features of a frame, as the bundled checkpoint has them."""
NEWS_EVERY = 75
"""Windows: two minutes."""


class Costless:
    """Frames of the right size, and something new now and then."""

    name, revision = "costless", "0"
    device, dtype = torch.device("cpu"), torch.float32
    sample_rate, frame_s = 16_000, 0.32
    card: dict[str, object] = {}  # noqa: RUF012
    labels = ("Dog",)
    defaults = GenerationOptions(1, 1, 60)
    styles: Mapping[Style, tuple[str, str]] = {"rest": (name, revision)}

    def __init__(self) -> None:
        self.windows = 0

    def check(self, options: GenerationOptions, seconds: float = 0.0) -> None:
        """Any will do."""

    def prepare(self, data: bytes, limits: DecodeLimits, decode: Decode) -> Waveform:
        """No file is sent."""
        raise NotImplementedError

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        """Noise."""
        return [
            Encoded.of(torch.randn(round(clip.duration_s / self.frame_s), WIDTH)) for clip in clips
        ]

    def left(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[tuple[Sound, ...]]:
        """A new kind every ``NEWS_EVERY`` windows."""
        self.windows += 1
        number, rest = divmod(self.windows, NEWS_EVERY)
        new = () if rest else (Sound(f"kind {number}", 0.9, (Interval(0.0, 1.6),)),)
        return [new for _ in pairs]

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,  # noqa: ARG002
    ) -> list[Description]:
        """The same for all."""
        return [Description((Caption("a dog", -0.5, 3),), None) for _ in pairs]

    def warm_up(self) -> None:
        """Nothing is cold."""


async def report(hours: int) -> AsyncIterator[str]:
    """A row for each third hour."""
    engine = Engine(EngineSettings(decode_workers=1), Costless(), Unobserved())
    engine.start()
    listener = Listener(engine, BACKGROUND_S, GenerationOptions())
    rate = listener.sample_rate
    noise = np.random.default_rng(0).standard_normal(10 * rate).astype(np.float32) / 10
    yield "| hour | events | MiB resident | seconds |"
    yield "|---|---|---|---|"
    told, began = 0, time.monotonic()
    for hour in range(1, hours + 1):
        for piece in range(360):
            at = (hour - 1) * 3600 + (piece + 1) * 10
            async for _ in listener.hear(noise, at, time.monotonic()):
                told += 1
        if hour in (1, 2) or hour % 3 == 0:
            yield f"| {hour} | {told} | {_resident_mib():.1f} | {time.monotonic() - began:.0f} |"
    await engine.stop()


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * getpagesize() / 2**20
