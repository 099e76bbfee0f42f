"""Where decoding stops, what must not get through, and what threads and mutants do to it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from model.audio import DecodeLimits, decode, decoding
from model.audio.readers import Block, Losses, read_with_ffmpeg
from model.errors import AudioError, AudioTooLarge, AudioTooLong, CorruptAudio, UnsupportedFormat
from model.types import Waveform
from tests.unit.model.audio_files import (
    CASES,
    ENCODERS,
    RATE,
    by_soundfile,
    encoded,
    noise,
    tone,
)

# --- limits


@pytest.mark.parametrize("case", ["wav-16", "flac", "m4a-alac"])
def test_limits_are_inclusive(case: str) -> None:
    data = encoded(case, tone(RATE, 2, 0.5), RATE)
    exact = DecodeLimits(
        max_seconds=0.5, max_channels=2, max_sample_rate=RATE, max_decoded_bytes=RATE * 2 * 4 // 2
    )
    assert decode(data, RATE, exact).duration_s == 0.5
    with pytest.raises(AudioTooLong, match=r"longer than 0\.499 s"):
        decode(data, RATE, replace(exact, max_seconds=0.499))
    for smaller in (
        {"max_channels": 1},
        {"max_sample_rate": RATE - 1},
        {"max_decoded_bytes": exact.max_decoded_bytes - 1},
    ):
        with pytest.raises(AudioTooLarge):
            decode(data, RATE, replace(exact, **smaller))


@pytest.mark.parametrize(
    ("case", "rate", "minutes"), [("flac", 8000, 30), ("ogg-opus", 8000, 1), ("mp3", 8000, 1)]
)
def test_a_bomb_is_put_out_early(
    case: str, rate: int, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = np.zeros((rate * 60 * minutes, 1), dtype=np.float32)
    data = encoded(case, silence, rate)
    decoded = 0

    def counted(read: Callable[..., Generator[Block]]) -> Callable[..., Generator[Block]]:
        def reader(*arguments: object) -> Generator[Block]:
            nonlocal decoded
            for block_rate, block in read(*arguments):
                decoded += block.shape[0]
                yield block_rate, block

        return reader

    for name in ("read_with_libsndfile", "read_with_ffmpeg"):
        monkeypatch.setattr(decoding, name, counted(getattr(decoding, name)))
    with pytest.raises(AudioTooLong):
        decode(data, RATE, DecodeLimits(max_seconds=10))
    hertz = 48_000 if case == "ogg-opus" else rate
    assert 10 * hertz < decoded <= 10 * hertz + (1 << 18)


@pytest.mark.parametrize(
    "data",
    [
        b"OggS" * (1 << 20),
        b"ID3\4\0\0\0\0\0\1x" * (1 << 18),
        (b"TAG" + b"\xff" * 200) * (1 << 14),
        b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * (1 << 19),
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\xec\x80" * (1 << 21),
    ],
    ids=["pages", "tags-before", "tags", "chunks", "elements"],
)
def test_what_is_looked_at_of_a_file_is_bounded(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(AudioError):
        decode(data, RATE)
    assert time.process_time() - began < 10  # of the processor; some took minutes


# --- what must not get through


def playlists(target: Path) -> dict[str, bytes]:
    """Files that make FFmpeg open another file, if it is let."""
    return {
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{target}\n"
        "#EXT-X-ENDLIST\n".encode(),
        "m3u": f"{target}\n".encode(),
        "dash": f'<?xml version="1.0"?><MPD><BaseURL>file://{target}</BaseURL></MPD>'.encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=audio 5004 RTP/AVP 0\n",
        "url": b"[InternetShortcut]\nURL=http://127.0.0.1/\n",
    }


@pytest.mark.parametrize("kind", ["ffconcat", "m3u8", "m3u", "dash", "sdp", "url"])
def test_playlists_are_refused(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "secret.wav"
    target.write_bytes(by_soundfile(noise(0.1), RATE, "WAV"))
    with pytest.raises(UnsupportedFormat):
        decode(playlists(target)[kind], RATE)


def test_ffmpeg_itself_can_open_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "secret.wav"
    target.write_bytes(by_soundfile(noise(0.1), RATE, "WAV"))
    monkeypatch.chdir(tmp_path)
    playlist = b"ffconcat version 1.0\nfile 'secret.wav'\n"
    with av.open(io.BytesIO(playlist), format="concat", mode="r") as container:
        assert len(container.streams.audio) == 1  # so it would, without protocols forbidden
    with pytest.raises(CorruptAudio):
        list(read_with_ffmpeg(io.BytesIO(playlist), "concat", Losses()))


# --- robustness


def mutants(data: bytes, count: int, random: np.random.Generator) -> Generator[bytes]:
    """Copies with a few bytes set, flipped, saturated or taken out, half of them in the header."""
    for number in range(count):
        mutant = bytearray(data)
        reach = min(len(data), 400) if number % 2 else len(data)
        for _ in range(random.integers(1, 6)):
            at = int(random.integers(reach - 30))
            match random.integers(4):
                case 0:
                    mutant[at] = random.integers(256)
                case 1:
                    mutant[at] ^= 1 << int(random.integers(8))
                case 2:
                    mutant[at : at + 4] = bytes([random.choice([0, 0x7F, 0xFF])]) * 4
                case _:
                    del mutant[at : at + int(random.integers(1, 20))]
        yield bytes(mutant)


@CASES
def test_mutants_are_refused_or_decoded_to_finite_samples(
    case: str, files: dict[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(list(ENCODERS).index(case))
    outcomes = {"refused": 0, "decoded": 0}
    for mutant in mutants(files[case], 24, random):
        try:
            clip = decode(mutant, RATE)
        except AudioError:
            outcomes["refused"] += 1
            continue
        outcomes["decoded"] += 1
        assert clip.samples.shape[0] > 0
        assert torch.isfinite(clip.samples).all()
        assert clip.samples.abs().max() <= 1
    assert outcomes["refused"] > 0
    assert capfd.readouterr() == ("", "")  # neither FFmpeg nor libsndfile writes to the console


def test_threads_decode_alike(files: dict[str, bytes]) -> None:
    def run(data: bytes) -> Waveform:
        return decode(data, 22_050)

    alone = [run(data) for data in files.values()]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(run, [*files.values()] * 2))
    for clip, expected in zip(together, alone * 2, strict=True):
        assert clip.source == expected.source
        assert torch.equal(clip.samples, expected.samples)
