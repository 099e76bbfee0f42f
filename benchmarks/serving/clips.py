"""The requests: sounds made in code, in several formats and lengths, no two alike."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soundfile

from training.scenes.synthetic import SOUNDS, synthesize

RATE = 16_000
SHORTEST_S, LONGEST_S = 1.0, 30.0
_BOUNDARY = b"benchmark-boundary"
_SERIAL = b"serial-0000000000"


@dataclass(frozen=True)
class NumberedFile:
    """A clip with a place for a serial number, so that no cache knows it."""

    data: bytes
    seconds: float

    def numbered(self, serial: int) -> bytes:
        """The file with this number in it; it decodes to the same sound."""
        return self.data.replace(_SERIAL, b"serial-%010d" % serial, 1)


@dataclass(frozen=True)
class Request:
    """What is sent: a path, and the files by field."""

    path: str
    files: tuple[tuple[str, bytes], ...]

    @property
    def raw(self) -> bytes:
        """The HTTP/1.1 request, on a connection that stays open."""
        parts = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="clip"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n%s\r\n"
            % (_BOUNDARY, name.encode(), data)
            for name, data in self.files
        )
        body = parts + b"--%s--\r\n" % _BOUNDARY
        head = (
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
            b"Content-Type: multipart/form-data; boundary=%s\r\n\r\n"
        )
        return head % (self.path.encode(), len(body), _BOUNDARY) + body


def requests(seed: int = 0, count: int = 64, serial: int = 0) -> Iterator[Request]:
    """Requests without end, the same ones for the same seed.

    A third asks for a difference; half of those have one and the same reference. Files are
    numbered from ``serial``: with another one they are new to a cache, and the same sounds. All of
    them are made before the first is asked for, so that a load does not begin with waiting.
    """
    rng = np.random.default_rng(seed)
    clips = [_clip(rng, number) for number in range(count)]
    return _draw(rng, clips, _clip(rng, 0, seconds=10.0).data, serial)


def _draw(
    rng: np.random.Generator, clips: list[NumberedFile], common: bytes, serial: int
) -> Iterator[Request]:
    while True:
        serial += 2
        one, other = (clips[int(rng.integers(len(clips)))] for _ in range(2))
        if rng.random() < 2 / 3:
            yield Request("/caption", (("file", one.numbered(serial)),))
        else:
            reference = common if rng.random() < 0.5 else other.numbered(serial + 1)
            yield Request(
                "/difference", (("input", one.numbered(serial)), ("reference", reference))
            )


def _clip(rng: np.random.Generator, number: int, seconds: float | None = None) -> NumberedFile:
    """A sound made in code; its length is spread evenly on a logarithmic scale."""
    if seconds is None:
        seconds = float(np.exp(rng.uniform(np.log(SHORTEST_S), np.log(LONGEST_S))))
    source = sorted(SOUNDS)[number % len(SOUNDS)]
    rate = (RATE, 44_100)[number % 2]
    samples = np.resize(synthesize(source, rng, rate, 5.0), int(seconds * rate))
    buffer = io.BytesIO()
    container, subtype = (("WAV", "PCM_16"), ("FLAC", "PCM_16"))[number // 2 % 2]
    with soundfile.SoundFile(
        buffer, "w", rate, channels=1, format=container, subtype=subtype
    ) as file:
        file.title = _SERIAL.decode()
        file.write(samples)
    data = buffer.getvalue()
    if _SERIAL not in data:
        raise RuntimeError(f"the serial number is not in the {container} file")
    return NumberedFile(data, seconds)
