"""Recordings of tones, and a captioner that knows them: which, how loud and when.

Shapes: S samples, T frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.reading import Reader
from model.audio import Decode, DecodeLimits, decode
from model.types import Caption, Description, Encoded, GenerationOptions, Waveform
from tests.support.captioner import FakeCaptioner

RATE = 16_000
HERTZ = {"Dog": 1000, "Rain": 3000}
"""Kind -> its tone: a whole number of periods in a frame."""
Placed = tuple[str, float, float]
"""A kind, and from when to when, in seconds."""


def recording(seconds: float, *placed: Placed, rate: int = RATE) -> NDArray[np.float32]:
    """[S]: tones at full probability, silence around them."""
    samples = np.zeros(round(seconds * rate), np.float32)
    for kind, start, end in placed:
        at = slice(round(start * rate), round(end * rate))
        time = np.arange(at.start, at.stop) / rate
        samples[at] += 0.4 * np.sin(2 * np.pi * HERTZ[kind] * time).astype(np.float32)
    return samples


class ToneCaptioner(FakeCaptioner):
    """A frame's features are its events: how much there is of each tone."""

    sample_rate = RATE
    frame_s = 0.32
    labels = tuple(HERTZ)

    def __init__(self) -> None:
        super().__init__()
        self.before_encode: Callable[[int], object] = lambda _: None
        """Is told how many clips there were before."""

    def prepare(self, data: bytes, limits: DecodeLimits, decode: Decode = decode) -> Waveform:
        return decode(data, RATE, limits)

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        self.before_encode(sum(map(len, self.encoded)))
        self.encoded.append([clip.duration_s for clip in clips])
        self.entered.release()
        assert self.gate.wait(60)
        return [Encoded.of(_tones(clip.samples)) for clip in clips]

    def events(self, clip: Encoded) -> Tensor:
        return clip.frames[0]

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),  # noqa: ARG002
    ) -> list[Description]:
        self.described.append((len(pairs), options))
        return [Description((Caption(_caption(clip), -0.5, 3),), None) for clip, _ in pairs]


def _tones(samples: Tensor) -> Tensor:
    """[S] -> [T, K]."""
    frames = samples.view(-1, round(0.32 * RATE))
    time = torch.arange(frames.shape[1]) / RATE
    waves = torch.stack([torch.exp(2j * torch.pi * hertz * time) for hertz in HERTZ.values()])
    return (5 * (frames.to(waves.dtype) @ waves.T).abs() / len(time)).clamp(max=1.0).float()


def _caption(clip: Encoded) -> str:
    heard = clip.frames[0].mean(dim=0) > 0.3
    said = [f"a {kind.lower()} is heard" for kind, on in zip(HERTZ, heard, strict=True) if on]
    return " and ".join(said)
