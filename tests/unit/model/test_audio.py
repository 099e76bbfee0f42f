"""Bytes to a mono waveform: every format, the limits, the resampler and whatever is not a file."""

from __future__ import annotations

import base64
import io
import math
import resource
import struct
import zlib
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
import torchaudio
from numpy.typing import NDArray

from model.audio import DecodeLimits, decode, decoding
from model.audio import resampling as audio_resample
from model.audio.readers import Block, read_with_ffmpeg
from model.audio.resampling import resample
from model.errors import (
    AudioError,
    AudioTooLarge,
    AudioTooLong,
    CorruptAudio,
    EmptyAudio,
    UnsupportedFormat,
)
from model.types import Waveform

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


def by_soundfile(samples: Samples, rate: int, kind: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def by_ffmpeg(samples: Samples, rate: int, kind: str, codec: str, **options: str) -> bytes:
    file = io.BytesIO()
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(file, "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()


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


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A fifth of a second of stereo noise and tone in every format."""
    sound = tone(RATE, 2, 0.2) + noise(0.2) / 10
    return {case: encoded(case, sound, RATE) for case in ENCODERS}


def correlation(heard: Samples, expected: Samples) -> float:
    """Of the best alignment within a fifth of a second."""
    size = len(heard) + len(expected)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.fft.rfft(expected, size).conj(), size)
    delay = int(products[: RATE // 5].argmax())
    common = min(len(heard) - delay, len(expected))
    return float(np.corrcoef(heard[delay:][:common], expected[:common])[0, 1])


# --- formats


@CASES
@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (11025, 2), (22050, 1), (44100, 2), (48000, 1)]
)
def test_every_format_rate_and_layout_is_heard(case: str, rate: int, channels: int) -> None:
    if case in OPUS:
        rate = 48_000  # the rate that Opus decodes at
    clip = decode(encoded(case, tone(rate, channels), rate), RATE)
    source = clip.source
    assert (source.format, source.sample_rate, source.channels) == (
        ENCODERS[case][0],
        rate,
        channels,
    )
    assert source.duration_s == pytest.approx(1.0, abs=0.16 if case in LOOSE else 1e-3)
    assert clip.samples.dtype == torch.float32
    assert clip.samples.shape == (math.ceil(round(source.duration_s * rate) * RATE / rate),)
    assert clip.duration_s == pytest.approx(source.duration_s, abs=1e-4)
    heard = clip.samples.numpy()
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * RATE / len(heard) == pytest.approx(440, abs=2)
    # The click tells a shifted or a repeated tone from the tone in its place.
    expected = tone(RATE, channels).mean(axis=1)
    assert correlation(heard, expected) > (0.95 if case in LOOSE else 0.99)


@pytest.mark.parametrize("case", ["wav-16", "wav-24", "wav-32", "wav-extensible", "flac", "caf"])
def test_pcm_at_the_target_rate_is_not_touched(case: str) -> None:
    samples = noise(0.1)
    clip = decode(encoded(case, samples, RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), samples[:, 0])


@pytest.mark.parametrize("case", ["mov-pcm", "m4a-alac"])
def test_lossless_through_ffmpeg_is_exact_to_16_bits(case: str) -> None:
    samples = noise(0.1)
    clip = decode(encoded(case, samples, RATE), RATE)
    assert np.abs(clip.samples.numpy() - samples[:, 0]).max() <= 1 / 32768


@pytest.mark.parametrize("case", ["wav-u8", "mkv-u8"])
def test_eight_bits_are_unsigned_around_128(case: str) -> None:
    steps = np.array([-1.0, -0.5, 0.0, 0.0, 0.5, 127 / 128] * 50, dtype=np.float32)
    clip = decode(encoded(case, steps[:, None], RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), steps)


def test_channels_are_averaged() -> None:
    samples = np.concatenate([noise(0.1), -noise(0.1), noise(0.1) / 2, 0 * noise(0.1)], axis=1)
    clip = decode(by_soundfile(samples, RATE, "WAV", "FLOAT"), RATE)
    assert clip.source.channels == 4
    assert np.allclose(clip.samples, noise(0.1)[:, 0] / 8, atol=1e-7)


@pytest.mark.parametrize("case", ["wav-f32", "wav-ffmpeg"])
def test_samples_beyond_full_scale_are_clipped(case: str) -> None:
    loud = noise(0.1) * 4
    clip = decode(encoded(case, loud, RATE), RATE)
    assert np.array_equal(clip.samples.numpy(), loud[:, 0].clip(-1, 1))
    huge = np.full((4410, 1), 1e30, dtype=np.float32)
    assert decode(encoded(case, huge, 44_100), RATE).samples.abs().max() <= 1


def test_sound_is_taken_out_of_a_video() -> None:
    clip = decode(video(sound=True), RATE)
    assert clip.source.format == "mp4"
    assert correlation(clip.samples.numpy(), tone(RATE)[:, 0]) > 0.985


def test_real_recordings(esc50_dir: Path) -> None:
    paths = [path for path in sorted((esc50_dir / "audio").iterdir())[:400:50] if path.is_file()]
    assert paths
    for path in paths:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clip = decode(path.read_bytes(), rate)
        assert abs(len(expected) - len(clip.samples)) <= rate // 40
        size = min(len(expected), len(clip.samples))
        assert np.allclose(clip.samples[:size], expected.mean(axis=1)[:size], atol=1e-5)


# --- resampling

RATES = [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 44_101, 37_123]


@pytest.mark.parametrize("source", RATES)
@pytest.mark.parametrize("length", [1, 2, 441, 1000, 12_345])
def test_resampled_length(source: int, length: int) -> None:
    assert resample(torch.ones(length), source, RATE).shape == (math.ceil(length * RATE / source),)


@pytest.mark.parametrize(
    ("source", "length"), [(44_100, 2_645_887), (16_009, 16_009), (16_001, 100), (15_999, 7)]
)
def test_length_is_exact_where_torchaudio_or_the_rounded_ratio_falls_short(
    source: int, length: int
) -> None:
    assert resample(torch.ones(length), source, RATE).shape == (math.ceil(length * RATE / source),)


@pytest.mark.parametrize("source", RATES)
def test_resampling_keeps_a_sine_below_both_nyquist_frequencies(source: int) -> None:
    def sine(rate: int) -> torch.Tensor:
        times = torch.arange(rate, dtype=torch.float64) / rate
        return torch.sin(2 * torch.pi * 0.4 * min(source, RATE) * times).float()

    error = resample(sine(source), source, RATE) - sine(RATE)
    # A ratio that had to be rounded drifts, by a few microseconds in this second.
    tolerance = 5e-5 if math.gcd(source, RATE) > 1 else 0.2
    assert error[RATE // 20 : -RATE // 20].abs().max() < tolerance


@pytest.mark.parametrize("source", [22_050, 44_100, 48_000, 192_000])
def test_what_is_above_the_nyquist_frequency_vanishes(source: int) -> None:
    times = torch.arange(source, dtype=torch.float64) / source
    for hertz in (8100, 9000, 10_500, 15_900, 20_000, 23_000):
        if hertz < source / 2:
            left = resample(torch.sin(2 * torch.pi * hertz * times).float(), source, RATE)
            assert left[800:-800].abs().max() < 1e-4, hertz


@pytest.mark.parametrize("source", [8000, 22_050, 44_100, 48_000, 384_000])
@pytest.mark.parametrize("length", [1, 3000, 12_345])
def test_resampling_is_torchaudios(source: int, length: int) -> None:
    samples = torch.from_numpy(noise(1.0)[:length, 0])
    by_convolution = torchaudio.transforms.Resample(
        source,
        RATE,
        resampling_method="sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        beta=14.769656459379492,
    )
    heard, expected = resample(samples, source, RATE), by_convolution(samples)
    torch.testing.assert_close(heard, expected, rtol=0, atol=5e-6)


def test_a_filter_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    audio_resample._filter.cache_clear()
    first = resample(torch.ones(100), 44_100, RATE)
    monkeypatch.setattr(torchaudio.transforms, "Resample", None)
    assert torch.equal(resample(torch.ones(100), 88_200, 2 * RATE), first)


def test_rates_without_a_common_divisor_take_no_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []
    make = audio_resample._filter
    monkeypatch.setattr(audio_resample, "_filter", lambda *key: made.append(key) or make(*key))
    for source in (1, 7919, 15_991, 44_101, 383_987):
        made.clear()
        assert resample(torch.ones(source), source, RATE).shape == (RATE,)
        ((stride, phases),) = made
        assert stride / phases == pytest.approx(source / RATE, rel=5e-4)
        assert make(stride, phases)[0].numel() < 1 << 22


# --- cut short


@CASES
def test_a_file_cut_short_is_corrupt(case: str, files: dict[str, bytes]) -> None:
    data = files[case]
    for left in [len(data) - cut for cut in (1, 2, 3, 10, 50)] + [
        int(len(data) * part) for part in (0.98, 0.9, 0.7, 0.5, 0.3, 0.1)
    ]:
        if case == "mp4-fragments" and left > len(data) * 0.95:
            continue  # an index for seeking ends the file; all of the sound is before it
        with pytest.raises(CorruptAudio):
            decode(data[:left], RATE)


@CASES
def test_a_file_cut_in_its_header_is_refused(case: str, files: dict[str, bytes]) -> None:
    for left in range(1, 200, 7):
        with pytest.raises((CorruptAudio, UnsupportedFormat)):
            decode(files[case][:left], RATE)


def test_a_count_of_mp3_frames_that_is_not_reached_is_corrupt(files: dict[str, bytes]) -> None:
    data = files["mp3"]
    count = max(data.find(b"Xing"), data.find(b"Info")) + 8
    told = int.from_bytes(data[count : count + 4], "big")
    assert told > 4
    forged = data[:count] + (told + 2).to_bytes(4, "big") + data[count + 4 :]
    with pytest.raises(CorruptAudio):
        decode(forged, RATE)


@pytest.mark.parametrize("case", ["ogg-vorbis", "ogg-opus"])
def test_ogg_that_ends_between_pages_is_corrupt(case: str) -> None:
    data = encoded(case, noise(3.0), RATE)
    assert data.count(b"OggS") > 4
    with pytest.raises(CorruptAudio):
        decode(data[: data.rfind(b"OggS")], RATE)


def test_flac_that_ends_between_frames_is_corrupt() -> None:
    data = bytearray(by_soundfile(noise(0.5), RATE, "FLAC"))
    assert int.from_bytes(data[18:26], "big") & 0xFFFFFFFFF == RATE // 2
    data[25] += 1  # the count of samples in STREAMINFO
    with pytest.raises(CorruptAudio, match="1 samples"):
        decode(bytes(data), RATE)


def test_damage_in_mid_stream_is_corrupt() -> None:
    for case in ("flac", "mp3", "mp3-untold", "aac", "m4a-alac"):
        data = encoded(case, noise(1.0), RATE)
        half = len(data) // 2
        with pytest.raises(CorruptAudio):
            decode(data[:half] + bytes(2000) + data[half + 2000 :], RATE)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_wav_written_to_a_pipe_is_whole(size: int) -> None:
    data = by_soundfile(noise(0.1), RATE, "WAV", "PCM_16")
    assert data[36:40] == b"data"
    piped = data[:4] + b"\xff" * 4 + data[8:40] + struct.pack("<I", size) + data[44:]
    assert torch.equal(decode(piped, RATE).samples, decode(data, RATE).samples)


def test_flac_written_to_a_pipe_is_whole_until_it_is_cut() -> None:
    data = by_soundfile(noise(0.5), RATE, "FLAC")
    told = int.from_bytes(data[18:26], "big")
    piped = data[:18] + (told >> 36 << 36).to_bytes(8, "big") + data[26:]
    assert torch.equal(decode(piped, RATE).samples, decode(data, RATE).samples)
    with pytest.raises(CorruptAudio):
        decode(piped[:-100], RATE)


ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)
LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"


@pytest.mark.parametrize(
    ("case", "before", "after"),
    [
        ("wav-16", b"", LIST),
        ("wav-16", b"", b"junk that is not a chunk"),
        ("flac", ID3V2, ID3V1),
        ("mp3", ID3V2 + ID3V2 + bytes(500), ID3V1),
        ("mp3", b"", np.random.default_rng(0).bytes(3000)),
        ("mp3-untold", b"", b"APETAGEX" + bytes(5000) + ID3V1),
        ("mp3-untold", b"", bytes(5000)),
        ("aac", ID3V2, ID3V1),
        ("ogg-opus", b"", b"junk"),
        ("m4a", b"", b"\0\0\0\x10free" + bytes(8)),
        ("webm", b"", b"junk"),
    ],
)
def test_tags_and_junk_around_the_sound_are_left_out(
    case: str, before: bytes, after: bytes, files: dict[str, bytes]
) -> None:
    plain, tagged = decode(files[case], RATE), decode(before + files[case] + after, RATE)
    assert torch.equal(plain.samples, tagged.samples)


# --- not audio, empty, forged


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is a text" * 50,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(500),
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(500),
        b"%PDF-1.7\n" + bytes(500),
        b"PK\x03\x04" + bytes(500),
        b"RIFF\x24\0\0\0AVI " + bytes(500),
        bytes(5000),
        b"\xff" * 5000,
        np.random.default_rng(1).bytes(5000),
    ],
)
def test_what_is_not_audio_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match="Send"):
        decode(data, RATE)


def test_a_video_without_sound_is_unsupported() -> None:
    with pytest.raises(UnsupportedFormat, match="no sound track"):
        decode(video(sound=False), RATE)


def test_a_codec_that_is_not_read_is_unsupported(files: dict[str, bytes]) -> None:
    data = by_ffmpeg(tone(RATE), RATE, "matroska", "tta")
    with pytest.raises(UnsupportedFormat, match="codec"):
        decode(data, RATE)
    wav = bytearray(files["wav-16"])
    wav[34:36] = b"\x40\0"  # 64 bits
    with pytest.raises(UnsupportedFormat):
        decode(bytes(wav), RATE)


def test_nothing_is_empty() -> None:
    silent = np.zeros((0, 1), dtype=np.float32)
    for data in (b"", *(by_soundfile(silent, RATE, kind) for kind in ("WAV", "AIFF", "FLAC"))):
        with pytest.raises(EmptyAudio):
            decode(data, RATE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("kind", ["wav", "mov"])
def test_samples_that_are_not_finite_are_corrupt(bad: float, kind: str) -> None:
    samples = noise(0.1).astype(np.float64)
    samples[700] = bad
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="DOUBLE")
    data = file.getvalue()
    if kind == "mov":  # the same samples, through FFmpeg
        data = by_ffmpeg(noise(0.1), RATE, "mov", "pcm_f64le")
        good, body = struct.pack("<d", noise(0.1)[700, 0]), struct.pack("<d", bad)
        assert good in data
        data = data.replace(good, body, 1)
    with pytest.raises(CorruptAudio, match="NaN or infinite"):
        decode(data, RATE)


@pytest.mark.parametrize(
    ("offset", "value", "error"),
    [
        (22, b"\0\0", CorruptAudio),  # channels
        (22, b"\x21\0", AudioTooLarge),
        (22, b"\xff\xff", AudioTooLarge),
        (24, bytes(4), CorruptAudio),  # rate
        (24, b"\x01\xdc\x05\0", AudioTooLarge),
        (24, b"\xff\xff\xff\x7f", AudioTooLarge),
        (24, b"\xff\xff\xff\xff", CorruptAudio),
        (40, b"\xff\xff\xff\x7e", CorruptAudio),  # bytes of samples
    ],
)
def test_forged_wav_headers(offset: int, value: bytes, error: type[AudioError]) -> None:
    data = by_soundfile(noise(0.1), RATE, "WAV", "PCM_16")
    with pytest.raises(error):
        decode(data[:offset] + value + data[offset + len(value) :], RATE)


def test_a_forged_table_of_samples_takes_no_gigabytes() -> None:
    data = bytearray(by_ffmpeg(tone(RATE), RATE, "ipod", "aac"))
    count = 30_000_000  # FFmpeg keeps 24 bytes for each, and as many again
    sizes, chunks, times = (data.index(kind) for kind in (b"stsz", b"stsc", b"stts"))
    data[sizes + 8 : sizes + 16] = struct.pack(">II", 1, count)
    data[chunks + 16 : chunks + 20] = struct.pack(">I", count)
    data[times + 12 : times + 16] = struct.pack(">I", count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AudioError):
        decode(bytes(data), RATE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_a_forged_vorbis_code_book_does_not_end_the_process() -> None:
    # Two ordered books of 2**22 words, in 216 bytes: libvorbis overruns its stack on them.
    packed = (
        "c-r$%PY-5bVt@ihC|zF>9>6HaSe9Rulvxaxa9P8E0(LO^gLE<=>jYt~z5gyU2{<t$w1Q<>A$&$B=P-~e2W<uhftI#"
        "4Ad4Hq7#I{lVn8MXPQU`Tjs@mI5Czig{$@@K3kaaA2LOb48OZ"
    )
    with pytest.raises(AudioError):
        decode(zlib.decompress(base64.b85decode(packed)), RATE)


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
        list(read_with_ffmpeg(playlist, "concat"))


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
    audio_resample._filter.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(run, [*files.values()] * 2))
    for clip, expected in zip(together, alone * 2, strict=True):
        assert clip.source == expected.source
        assert torch.equal(clip.samples, expected.samples)
