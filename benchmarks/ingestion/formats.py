"""The same sounds in every format that people upload."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import numpy as np
import soundfile

from training.scenes.synthetic import SOUNDS, Array, synthesize


@dataclass(frozen=True)
class Format:
    """How a sound is written to a file."""

    name: str
    container: str
    codec: str
    rate: int
    """Hertz."""
    channels: int = 1
    options: tuple[tuple[str, str], ...] = ()
    """The muxer's."""


VORBIS = "vorbis"
"""Written by libsndfile: FFmpeg's own encoder of it is an experiment."""
FORMATS = (
    Format("WAV 16 bit, 16 kHz", "wav", "pcm_s16le", 16_000),
    Format("WAV 16 bit, 44.1 kHz", "wav", "pcm_s16le", 44_100),
    Format("WAV 16 bit, 44.1 kHz stereo", "wav", "pcm_s16le", 44_100, 2),
    Format("FLAC, 44.1 kHz", "flac", "flac", 44_100),
    Format("OGG Vorbis, 44.1 kHz", "ogg", VORBIS, 44_100),
    Format("OGG Opus, 48 kHz", "ogg", "libopus", 48_000),
    Format("MP3, 44.1 kHz", "mp3", "libmp3lame", 44_100),
    Format("M4A AAC, 44.1 kHz", "ipod", "aac", 44_100),
    Format("WebM Opus, 48 kHz", "webm", "libopus", 48_000),
)
"""Container and codec are FFmpeg's names."""


def sounds(rate: int, seconds: float) -> list[Array]:
    """One sound of each source, [S] at ``rate`` hertz; the same ones every time."""
    return [
        synthesize(name, np.random.default_rng(seed), rate, seconds)
        for seed, name in enumerate(sorted(SOUNDS))
    ]


def encode(samples: Array, kind: Format) -> bytes:
    """A file of the sound [S], the same in each channel; FFmpeg's lossy codecs get 128 kbit/s."""
    file = io.BytesIO()
    if kind.codec == VORBIS:
        both = np.stack([samples] * kind.channels, axis=1)
        soundfile.write(file, both, kind.rate, format="OGG", subtype="VORBIS")
        return file.getvalue()
    layout = "mono" if kind.channels == 1 else "stereo"
    planes = np.tile(samples.astype(np.float32), (kind.channels, 1))
    with av.open(file, "w", format=kind.container, options=dict(kind.options)) as container:
        stream = container.add_stream(kind.codec, rate=kind.rate, layout=layout, bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray(planes, "fltp", layout)
        frame.sample_rate, frame.pts = kind.rate, 0
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()
