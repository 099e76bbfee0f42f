"""Files of sounds made in code, in every format that is read."""

from __future__ import annotations

import io
from collections.abc import Callable

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.audio import by_ffmpeg, by_soundfile

Samples = NDArray[np.float32]

RATE = 16_000


def tone(rate: int, channels: int = 1, seconds: float = 1.0) -> Samples:
    """440 Hz with a click in the middle, [S, C]; the second channel is softer."""
    times = np.arange(int(rate * seconds)) / rate
    mono = 0.4 * np.sin(2 * np.pi * 440 * times)
    middle = len(mono) // 2
    mono[middle : middle + rate // 500] += 0.4
    return np.stack([mono * (1 - 0.5 * c) for c in range(channels)], axis=1).astype(np.float32)


def noise(seconds: float, rate: int = RATE) -> Samples:
    """White noise on the 16-bit grid, [S, 1]."""
    steps = np.random.default_rng(0).integers(-20_000, 20_000, (int(seconds * rate), 1))
    return (steps / 32768).astype(np.float32)


def video(sound: bool) -> bytes:
    """A second of grey MPEG-4 pictures, with the tone under them or without."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        track = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), index * 20, np.uint8))
            picture.pts = index
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray(tone(RATE).T.copy(), "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            for part in (frame, None):
                container.mux(track.encode(part))
    return file.getvalue()


def ogg_pages(data: bytes, *, sealed: bool = False) -> list[bytes]:
    """The pages of an Ogg file; ``sealed`` gives each the checksum that its bytes have now."""
    pages = []
    while data:
        body = 27 + data[26]
        size = body + sum(data[27:body])
        page = data[:size]
        if sealed:
            page = page[:22] + bytes(4) + page[26:]
            page = page[:22] + _ogg_crc(page).to_bytes(4, "little") + page[26:]
        pages.append(page)
        data = data[size:]
    return pages


def _ogg_crc(page: bytes) -> int:
    """Bit by bit, as RFC 3533 has it."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return crc


Encoder = Callable[[Samples, int], bytes]

# name of the case -> (name of the format, encoder)
ENCODERS: dict[str, tuple[str, Encoder]] = {
    "wav-u8": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "PCM_U8")),
    "wav-16": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "PCM_16")),
    "wav-24": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "PCM_24")),
    "wav-32": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "PCM_32")),
    "wav-f32": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "FLOAT")),
    "wav-f64": ("wav", lambda x, rate: by_soundfile(x, rate, "WAV", "DOUBLE")),
    "wav-extensible": ("wav", lambda x, rate: by_soundfile(x, rate, "WAVEX", "PCM_16")),
    "wav-rf64": ("wav", lambda x, rate: by_soundfile(x, rate, "RF64", "PCM_16")),
    "wav-ffmpeg": ("wav", lambda x, rate: by_ffmpeg(x, rate, "wav", "pcm_f32le")),
    "aiff": ("aiff", lambda x, rate: by_soundfile(x, rate, "AIFF", "PCM_16")),
    "caf": ("caf", lambda x, rate: by_soundfile(x, rate, "CAF", "PCM_24")),
    "flac": ("flac", lambda x, rate: by_soundfile(x, rate, "FLAC", "PCM_24")),
    "ogg-vorbis": ("ogg", lambda x, rate: by_soundfile(x, rate, "OGG", "VORBIS")),
    "ogg-opus": ("ogg", lambda x, rate: by_soundfile(x, rate, "OGG", "OPUS")),
    "mp3": ("mp3", lambda x, rate: by_soundfile(x, rate, "MP3")),
    "mp3-untold": ("mp3", lambda x, rate: by_ffmpeg(x, rate, "mp3", "libmp3lame", write_xing="0")),
    "m4a": ("m4a", lambda x, rate: by_ffmpeg(x, rate, "ipod", "aac")),
    "mp4-fragments": (
        "mp4",
        lambda x, rate: by_ffmpeg(x, rate, "mp4", "aac", movflags="frag_keyframe+empty_moov"),
    ),
    "m4a-alac": ("m4a", lambda x, rate: by_ffmpeg(x, rate, "ipod", "alac")),
    "mov-pcm": ("mov", lambda x, rate: by_ffmpeg(x, rate, "mov", "pcm_s24le")),
    "aac": ("aac", lambda x, rate: by_ffmpeg(x, rate, "adts", "aac")),
    "webm": ("webm", lambda x, rate: by_ffmpeg(x, rate, "webm", "libopus")),
    "webm-live": ("webm", lambda x, rate: by_ffmpeg(x, rate, "webm", "libopus", live="1")),
    "mkv-u8": ("mkv", lambda x, rate: by_ffmpeg(x, rate, "matroska", "pcm_u8")),
    "wma": ("wma", lambda x, rate: by_ffmpeg(x, rate, "asf", "wmav2")),
}
OPUS = {"ogg-opus", "webm", "webm-live"}

# Codecs that begin with a delay which the container does not tell, or end with padding.
LOOSE = {"mp3-untold", "m4a", "mp4-fragments", "aac", "wma", "ogg-vorbis"}
CASES = pytest.mark.parametrize("case", ENCODERS)


def encoded(case: str, samples: Samples, rate: int) -> bytes:
    return ENCODERS[case][1](samples, rate)
