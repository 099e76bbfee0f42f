"""Long recordings, block by block: the same sound as at once, up to where it can be read."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from model.audio import DecodeLimits
from model.audio.blocks import BLOCK_S, decode_blocks
from model.audio.decoding import decode_samples
from model.errors import (
    AudioTooLarge,
    AudioTooLong,
    CorruptAudio,
    EmptyAudio,
    UnsupportedFormat,
)
from model.types import SourceInfo
from tests.support.audio import by_ffmpeg, by_soundfile

RATE = 16_000
SECONDS = 12.0
Samples = NDArray[np.float32]


def sound(seconds: float = SECONDS, rate: int = 44_100, channels: int = 1) -> Samples:
    """[S, C]: a chirp, so that no two moments are alike."""
    time = np.arange(round(seconds * rate)) / rate
    chirp = 0.4 * np.sin(2 * np.pi * (300 + 100 * time) * time)
    return np.stack([chirp * 0.9**channel for channel in range(channels)], 1).astype(np.float32)


ENCODERS: dict[str, Callable[[], bytes]] = {
    "wav": lambda: by_soundfile(sound(channels=2), 44_100),
    "aiff": lambda: by_soundfile(sound(), 44_100, "AIFF"),
    "flac": lambda: by_soundfile(sound(), 44_100, "FLAC"),
    "ogg": lambda: by_soundfile(sound(), 44_100, "OGG", "VORBIS"),
    "mp3": lambda: by_ffmpeg(sound(), 44_100, "mp3", "mp3"),
    "aac": lambda: by_ffmpeg(sound(), 44_100, "adts", "aac"),
    "mp4": lambda: by_ffmpeg(sound(), 44_100, "mp4", "aac", movflags="frag_keyframe"),
    "webm": lambda: by_ffmpeg(sound(rate=48_000), 48_000, "webm", "libopus"),
}


def blocks(data: bytes, **limits: float) -> tuple[list[Samples], SourceInfo]:
    """All blocks of a file, and what it is at last."""
    granted = DecodeLimits(**{"max_seconds": 100, **limits})
    found = [*decode_blocks(io.BytesIO(data), RATE, granted)]
    return [samples for samples, _ in found], found[-1][1]


@pytest.mark.parametrize("name", ENCODERS)
def test_the_sound_is_that_of_a_clip(name: str) -> None:
    data = ENCODERS[name]()
    parts, source = blocks(data)
    assert max(map(len, parts)) < (BLOCK_S + 1) * RATE
    whole, known = decode_samples(data, RATE, DecodeLimits())
    found = np.concatenate(parts)
    assert len(found) == pytest.approx(len(whole), abs=2)
    length = min(len(found), len(whole))
    assert np.abs(found[:length] - whole[:length])[100:-100].max() < 2e-3
    assert source.duration_s == pytest.approx(known.duration_s)
    assert (source.sample_rate, source.channels, source.format, source.warnings) == (
        known.sample_rate,
        known.channels,
        known.format,
        (),
    )


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - {"aac", "mp4"}))
def test_a_file_that_ends_in_the_middle_is_heard_so_far(name: str) -> None:
    data = ENCODERS[name]()
    parts, source = blocks(data[: len(data) // 2])
    assert 0.1 * SECONDS < sum(map(len, parts)) / RATE < 0.7 * SECONDS
    assert source.warnings


def test_a_file_that_cannot_be_read_on_is_heard_so_far() -> None:
    samples = sound(rate=RATE)
    samples[round(8.3 * RATE) :] = np.nan
    parts, source = blocks(by_soundfile(samples, RATE, subtype="FLOAT"))
    assert 8.0 < sum(map(len, parts)) / RATE <= 8.3
    assert source.warnings == ("It cannot be read beyond 8 s: what follows is not heard.",)
    with pytest.raises(CorruptAudio):
        blocks(by_soundfile(np.full_like(samples, np.nan), RATE, subtype="FLOAT"))


def test_recordings_of_several_rates_in_one_file() -> None:
    joined = by_ffmpeg(sound(6.0), 44_100, "mp3", "mp3") + by_ffmpeg(
        sound(6.0, 22_050), 22_050, "mp3", "mp3"
    )
    parts, source = blocks(joined)
    assert sum(map(len, parts)) / RATE == pytest.approx(12.0, abs=0.2)
    assert source.sample_rate == 44_100


def test_no_length_at_all_and_a_length_unknown() -> None:
    with pytest.raises(EmptyAudio):
        blocks(b"")
    with pytest.raises(EmptyAudio):
        blocks(by_soundfile(sound(0.0), 44_100))
    piped = bytearray(ENCODERS["wav"]())
    piped[4:8] = piped[40:44] = b"\xff" * 4
    assert blocks(bytes(piped))[1].warnings == ()


@pytest.mark.parametrize("name", ENCODERS)
def test_one_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(AudioTooLong, match="longer than 7 s"):
        blocks(ENCODERS[name](), max_seconds=7)


def test_one_that_says_so_is_refused_before_anything_is_heard() -> None:
    taken = decode_blocks(io.BytesIO(ENCODERS["flac"]()), RATE, DecodeLimits(max_seconds=7))
    with pytest.raises(AudioTooLong):
        next(taken)


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        blocks(b"#EXTM3U\nhttp://127.0.0.1/a.mp3\n")
    with pytest.raises(AudioTooLarge):
        blocks(by_soundfile(sound(1.0, channels=3), 44_100), max_channels=2)
