"""Captioners that cost nothing: a caption says the number that its clip is."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from engine.changes import changes as said
from engine.reading import Reader
from model import errors
from model.audio import Decode, DecodeLimits, decode
from model.changes import NOTHING
from model.types import (
    Caption,
    Description,
    Encoded,
    GenerationOptions,
    Interval,
    Segment,
    Sound,
    SourceInfo,
    Style,
    Waveform,
)

RATE = 100
POISON, OUT_OF_MEMORY, FATAL = 666, 667, 668
OWN_BEAMS = 4
MOST_TOGETHER_S = 30
"""Of two clips in style changes."""
DOG_ADDED = "a dog is added"
"""What has changed between any two that are not the same."""
DOG = Sound("Dog", 0.87, (Interval(0.0, 0.5),))
RAIN = Sound("Rain", 0.41, (Interval(0.0, 0.25), Interval(0.5, 1.0)))
"""Every clip has both; of two that are not the same, the dog is new, and the rain is shared."""


def clip(number: int, seconds: float = 1.0, error: str | None = None) -> bytes:
    """A file; ``error`` names a class of model.errors that decoding raises."""
    return json.dumps({"number": number, "seconds": seconds, "error": error}).encode()


class FakeCaptioner:
    """A file is a line of JSON. ``warm_up``, ``encode`` and readers stop while a gate is closed."""

    name = "fake"
    revision = "0123abcd"
    device = torch.device("cpu")
    dtype = torch.float32
    sample_rate = RATE
    frame_s = 0.5
    card: dict[str, object] = {"license": "none", "classes": ["dog", "rain"]}  # noqa: RUF012
    labels: tuple[str, ...] = ()
    defaults = GenerationOptions(OWN_BEAMS, 1, 60)
    styles: Mapping[Style, tuple[str, str]] = {
        "rest": (name, revision),
        "changes": ("other", "4567ef01"),
        "explain": ("third", "89ab2345"),
    }

    def __init__(self) -> None:
        self.warm = threading.Event()
        self.gate = threading.Event()
        self.warm.set()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.reading = threading.Event()
        self.reading.set()
        self.read: list[str] = []
        self.prepared: list[int] = []
        self.encoded: list[list[float]] = []
        self.described: list[tuple[int, GenerationOptions]] = []
        self.threads: set[str] = set()

    def check(self, options: GenerationOptions, seconds: float = 0.0) -> None:
        if options.style == "changes" and seconds > MOST_TOGETHER_S:
            raise errors.OptionsError(f"together at most {MOST_TOGETHER_S} s")
        if options.detail is not None and options.style != "explain":
            raise errors.OptionsError("detail is for style explain")
        if options.num_captions > (options.num_beams or OWN_BEAMS):
            raise errors.OptionsError(f"num_captions must be at most {OWN_BEAMS}")

    def prepare(self, data: bytes, limits: DecodeLimits, _: Decode = decode) -> Waveform:
        try:
            file = json.loads(data)
            number, seconds, wanted = file["number"], file["seconds"], file["error"]
        except (ValueError, TypeError, KeyError) as error:
            raise errors.UnsupportedFormat("not audio; send WAV or FLAC") from error
        if wanted:
            raise getattr(errors, wanted)("as the file asks")
        if seconds > limits.max_seconds:
            raise errors.AudioTooLong(f"longer than {limits.max_seconds} s; cut it")
        self.prepared.append(number)
        samples = torch.full((round(seconds * RATE),), float(number))
        return Waveform(samples, RATE, SourceInfo(seconds, 44100, 2, "json"))

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        self.threads.add(threading.current_thread().name)
        numbers = [clip.samples[0].item() for clip in clips]
        self.encoded.append(numbers)
        self.entered.release()
        assert self.gate.wait(60)
        if POISON in numbers:
            raise RuntimeError("secret internals")
        if OUT_OF_MEMORY in numbers:
            raise torch.OutOfMemoryError("secret internals")
        if FATAL in numbers:
            raise torch.AcceleratorError("secret internals")
        return [Encoded(torch.full((1, 2, 1), n), torch.ones(1, 2).bool()) for n in numbers]

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        self.threads.add(threading.current_thread().name)
        self.described.append((len(pairs), options))
        described = [self._describe(options, *pair) for pair in pairs]
        for reader, one in zip(readers, described, strict=False):
            words = one.best.text.split()
            for count in range(1, len(words)):
                if reader is None or not reader(" ".join(words[:count])):
                    break
                self.read.append(words[count - 1])
                assert self.reading.wait(60)
        return described

    def events(self, _: Encoded) -> Tensor:
        raise AssertionError("it knows no kinds of sound")

    def left(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[tuple[Sound, ...]]:
        return [() if _number(clip) == _number(other) else (DOG,) for clip, other in pairs]

    def warm_up(self) -> None:
        self.threads.add(threading.current_thread().name)
        assert self.warm.wait(60)

    @staticmethod
    def _describe(
        options: GenerationOptions, clip: Encoded, reference: Encoded | None
    ) -> Description:
        text = f"sound {_number(clip)}"
        if reference is not None:
            text += f" without {_number(reference)}"
        captions = tuple(
            Caption(text if n == 0 else f"{text}, take {n}", -0.25 * (n + 1), tokens=3)
            for n in range(options.num_captions)
        )
        if reference is None:
            return Description(captions, None, (DOG, RAIN))
        if options.style == "explain":
            text = f"the first has {_number(clip)}, the second has {_number(reference)}"
            captions = (replace(captions[0], text=f"{options.detail or 'sentence'}: {text}"),)
        if options.style == "changes":
            text = NOTHING["statement"] if _number(clip) == _number(reference) else DOG_ADDED
            captions = (replace(captions[0], text=text), *captions[1:])
        changes = (
            said(captions[0].text, -0.25, lambda *_: 1.0) if options.style == "changes" else None
        )
        timeline = (Segment(0.0, 0.5, 0.75), Segment(0.5, 1.0, None))
        new = () if _number(clip) == _number(reference) else (DOG,)
        return Description(captions, timeline, new, (RAIN,), changes)


class StreamCaptioner(FakeCaptioner):
    """A frame of half a second is its first sample; what the background has not is news."""

    labels = ("Dog", "Rain")

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        self.encoded.append([len(clips)])
        self.entered.release()
        assert self.gate.wait(60)
        return [Encoded.of(clip.samples[:: RATE // 2, None].round(decimals=1)) for clip in clips]

    def left(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[tuple[Sound, ...]]:
        return [self._new(*(one.frames[0, :, 0].tolist() for one in pair)) for pair in pairs]

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        del readers
        self.described.append((len(pairs), options))
        texts = (
            f"{self.left([(clip, other)])[0][0].label} begins" for clip, other in pairs if other
        )
        return [Description((Caption(text, -0.5, 3),), None) for text in texts]

    @staticmethod
    def _new(clip: list[float], other: list[float]) -> tuple[Sound, ...]:
        return tuple(
            Sound(f"sound {value:.2g}", 0.9, (Interval(clip.index(value) / 2, len(clip) / 2),))
            for value in dict.fromkeys(clip)
            if value not in other
        )


class HearingCaptioner(FakeCaptioner):
    """A file is audio of any format, and its number is its length in seconds."""

    sample_rate = 16_000

    def prepare(self, data: bytes, limits: DecodeLimits, decode: Decode = decode) -> Waveform:
        clip = decode(data, self.sample_rate, limits)
        return replace(clip, samples=torch.full((1,), clip.duration_s))


def _number(clip: Encoded) -> str:
    return f"{clip.frames[0, 0, 0].item():.7g}"  # as many digits as float32 has
