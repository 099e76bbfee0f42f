"""``python -m tests.support.faulty KIND``: a service that fails, waits and counts as it is told.

``tests.support.process`` starts it and tells it.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import resource
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import psutil

from engine import decoders
from engine.reading import Reader
from model.audio import decoding as audio
from model.audio.readers import Block
from model.types import Description, Encoded, GenerationOptions, Waveform
from service.app import serve
from service.settings import Settings
from tests.support.captioner import FakeCaptioner, HearingCaptioner
from tests.support.tones import ToneCaptioner

Report = dict[str, Any]


class Faulty(FakeCaptioner):
    """Told to, raises at every third call of a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = "nothing"
        self.failures = 0
        self.decoded_samples = 0
        self._calls = itertools.count(1)

    def encode(self, clips: Sequence[Waveform]) -> list[Encoded]:
        encoded = super().encode(clips)
        self._pass("encode")
        return encoded

    def describe(
        self,
        pairs: Sequence[tuple[Encoded, Encoded | None]],
        options: GenerationOptions,
        readers: Sequence[Reader | None] = (),
    ) -> list[Description]:
        self._pass("describe")
        return super().describe(pairs, options, readers)

    def _pass(self, stage: str) -> None:
        if stage == self.fails and next(self._calls) % 3 == 0:
            self.failures += 1
            raise RuntimeError("a fault that passes")

    def report(self) -> Report:
        """What was done so far."""
        return {
            "prepared": self.prepared,
            "encoded": self.encoded,
            "failures": self.failures,
            "decoded_samples": self.decoded_samples,
        }

    def obey(self) -> None:
        """Each line of the standard input is an order, each of the output a report."""
        for order in sys.stdin:
            report = self.report()
            match order.split():
                case ["shut"]:
                    self.gate.clear()
                case ["open"]:
                    self.gate.set()
                case ["fail", stage]:
                    self.fails, self._calls = stage, itertools.count(1)
                case ["weigh"]:
                    report |= held()
            print(json.dumps(report), flush=True)


def held() -> Report:
    """What this process holds; memory in bytes."""
    gc.collect()
    process = psutil.Process()
    # isinstance would ask each object for its class, and some warn when they are asked.
    tasks = [it for it in gc.get_objects() if issubclass(type(it), asyncio.Task) and not it.done()]
    return {
        "tasks": len(tasks),
        "threads": process.num_threads(),
        "fds": process.num_fds(),
        "rss": process.memory_info().rss,
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


class Decoding(Faulty):
    """Decodes with the real decoders, counting samples (of all channels), and models nothing."""

    sample_rate = 16_000

    def __init__(self) -> None:
        super().__init__()
        for name in ("read_with_libsndfile", "read_with_ffmpeg"):
            setattr(audio, name, self._counted(getattr(audio, name)))

    def _counted(
        self, read: Callable[..., Generator[Block]]
    ) -> Callable[..., Generator[Block, None, None]]:
        def reader(*arguments: object) -> Generator[Block]:
            for rate, block in read(*arguments):
                self.decoded_samples += block.size
                yield rate, block

        return reader

    def prepare(
        self, data: bytes, limits: audio.DecodeLimits, _: audio.Decode = audio.decode
    ) -> Waveform:
        return audio.decode(data, self.sample_rate, limits)


class Isolated(HearingCaptioner, Faulty):
    """Decodes where the engine does, by decoders to which some files do what they say."""

    def __init__(self) -> None:
        super().__init__()
        decoders.MODULE = "tests.support.bad_decoder"


class Tones(ToneCaptioner, Faulty):
    """Hears tones, in clips and in long recordings."""


if __name__ == "__main__":
    kinds = {"Faulty": Faulty, "Decoding": Decoding, "Isolated": Isolated, "Tones": Tones}
    captioner = kinds[sys.argv[1]]()
    threading.Thread(target=captioner.obey, daemon=True).start()
    sys.exit(serve(Settings(), captioner))
