"""Files that are odd but whole: all of their sound is heard, and nothing else."""

from __future__ import annotations

import io
import itertools
import struct

import av
import numpy as np
import pytest
import torch

from model.audio import decode
from model.errors import CorruptAudio, EmptyAudio, UnsupportedFormat
from tests.support.audio import by_ffmpeg
from tests.unit.model.audio_files import RATE, Samples, by_soundfile, encoded, noise, tone, video


def chunk(kind: bytes, body: bytes, size: int | None = None, pad: bool = True) -> bytes:
    """A chunk of RIFF; ``size`` is a lie."""
    told = len(body) if size is None else size
    return kind + struct.pack("<I", told) + body + bytes(len(body) % 2 if pad else 0)


def riff(*chunks: bytes) -> bytes:
    whole = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


PCM = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
FMT = chunk(b"fmt ", PCM)
SAMPLES = (noise(0.1)[:, 0] * 32768).astype("<i2").tobytes()
DATA = chunk(b"data", SAMPLES)


def heard(data: bytes) -> Samples:
    clip = decode(data, RATE)
    assert clip.source.warnings == ()
    samples: Samples = clip.samples.numpy()
    return samples


# --- WAV


@pytest.mark.parametrize(
    "odd",
    [
        chunk(b"LIST", b"INFOXXXX\xf8\xff\xff\xff", 256),  # libsndfile 1.2.2 loops for ever
        chunk(b"LIST", b"INFOICMT" + struct.pack("<I", 0xFFFFFFF0) + b"ab"),
        chunk(b"PEAK", bytes(16)),
        chunk(b"PEAK", b""),
        chunk(b"fact", b"\xff" * 3),
        chunk(b"smpl", bytes(4)),
        chunk(b"smpl", struct.pack("<9I", *(0,) * 7, 0xFFFFFFFF, 0)),
        chunk(b"inst", b"\x7f"),
        chunk(b"cue ", struct.pack("<I", 0xFFFFFFF)),
        chunk(b"bext", bytes(10)),
        chunk(b"cart", bytes(3)),
        chunk(b"ABCD", b"odd", pad=False),
    ],
    ids=lambda odd: repr(odd[:4]),
)
def test_optional_chunks_are_passed_over(odd: bytes) -> None:
    whole = heard(riff(FMT, DATA))
    assert np.array_equal(whole, noise(0.1)[:, 0])
    assert np.array_equal(heard(riff(FMT, DATA, odd)), whole)
    if odd[:4] != b"LIST":
        assert np.array_equal(heard(riff(FMT, odd, DATA)), whole)


def test_a_chunk_whose_size_lies_does_not_hide_the_sound() -> None:
    lies = chunk(b"fact", bytes(4), size=10**6)
    assert np.array_equal(heard(riff(FMT, lies, DATA)), noise(0.1)[:, 0])


def test_only_a_chunk_of_odd_size_is_filled_up_wherever_it_lies() -> None:
    unfilled = chunk(b"ABCD", b"no data.!", pad=False)
    sound = chunk(b"data", SAMPLES[:0x0C40])  # with "@" in its size, "ata@" could be a name
    whole = heard(riff(FMT, unfilled, chunk(b"EFGH", b"even"), sound))
    assert np.array_equal(whole, noise(0.1)[: 0x0C40 // 2, 0])


def test_an_info_list_in_aiff_is_passed_over() -> None:
    data = by_soundfile(noise(0.1), RATE, "AIFF", "PCM_16")
    body = data[12:] + b"MARK" + struct.pack(">I", 4) + b"\xff\xff\0\0"
    odd = b"FORM" + struct.pack(">I", 4 + len(body)) + data[8:12] + body
    assert np.array_equal(heard(odd), noise(0.1)[:, 0])


def test_a_comment_behind_empty_data_is_not_heard() -> None:
    comment = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"no sound at all " * 500))
    for chunks in ([comment], [comment, chunk(b"ABCD", b"12")]):
        with pytest.raises(EmptyAudio):
            decode(riff(FMT, chunk(b"data", b""), *chunks), RATE)
    piped = riff(FMT, b"data" + bytes(4) + SAMPLES)  # the length was not known, and is none
    assert np.array_equal(heard(piped), noise(0.1)[:, 0])


@pytest.mark.parametrize("excess", [8, 36])
def test_a_size_that_is_a_little_too_large_is_told_of(excess: int) -> None:
    clip = decode(riff(FMT, chunk(b"data", SAMPLES, len(SAMPLES) + excess)), RATE)
    assert np.array_equal(clip.samples, noise(0.1)[:, 0])
    assert clip.source.warnings == ("Less than 0.01 s of the sound are damaged or missing.",)


@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        ("libmp3lame", 44_100),
        ("libmp3lame", 16_000),
        ("mp2", 44_100),
        ("ac3", 44_100),
        ("g726", 8000),
        ("adpcm_ms", 22_050),
        ("adpcm_ima_wav", 22_050),
        ("pcm_mulaw", 8000),
    ],
)
def test_other_codecs_inside_wav_are_heard(codec: str, rate: int) -> None:
    bit_rate = 32_000 if codec == "g726" else 64_000
    clip = decode(by_ffmpeg(tone(rate), rate, "wav", codec, bit_rate), RATE)
    assert clip.source.warnings == ()
    assert (clip.source.format, clip.source.sample_rate) == ("wav", rate)
    assert clip.duration_s == pytest.approx(1.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(clip.samples.numpy() * np.hanning(len(clip.samples))))
    assert spectrum.argmax() / clip.duration_s == pytest.approx(440, abs=2)


def test_what_cannot_be_heard_inside_wav_is_named() -> None:
    bare = riff(chunk(b"fmt ", struct.pack("<H", 0xFF) + PCM[2:]), chunk(b"data", b"\x21" * 9000))
    with pytest.raises(UnsupportedFormat, match="AAC inside the WAV"):
        decode(bare, RATE)
    truespeech = struct.pack("<HHIIHHH", 0x22, 1, 8000, 1067, 32, 1, 32) + bytes(32)
    with pytest.raises(UnsupportedFormat, match="truespeech"):
        decode(riff(chunk(b"fmt ", truespeech), chunk(b"data", bytes(3200))), RATE)


# --- frames


def mp3(rate: int = RATE, seconds: float = 1.0) -> bytes:
    return encoded("mp3-untold", tone(rate, 1, seconds), rate)


ID3 = b"ID3\x04\0\0\0\0\x02\x01" + b"\xff\xfb" * 128 + b"\0"
APE = b"APETAGEX\xd0\7\0\0" + struct.pack("<III", 132, 1, 0xA0000000) + bytes(8) + b"\1" * 100
APE += b"APETAGEX\xd0\7\0\0" + struct.pack("<III", 132, 1, 0x80000000) + bytes(8)


@pytest.mark.parametrize("case", ["mp3-untold", "mp3", "aac"])
@pytest.mark.parametrize(
    "before",
    [bytes(1024), APE, ID3, ID3 + bytes(300) + APE, b"TAG" + bytes(125), b"junk" * 900],
    ids=["zeros", "ape", "id3", "both", "id3v1", "junk"],
)
def test_frames_are_found_behind_other_bytes(case: str, before: bytes) -> None:
    data = encoded(case, tone(RATE), RATE)
    assert np.array_equal(heard(before + data), heard(data))


@pytest.mark.parametrize("case", ["mp3-untold", "aac"])
def test_a_recording_may_start_in_mid_frame(case: str) -> None:
    data = encoded(case, tone(RATE, 1, 2.0), RATE)
    whole, late = heard(data), heard(data[123:])
    missing = len(whole) - len(late)
    assert 0 < missing <= RATE // 8
    # The first frame that is left may lean on what is not there.
    assert np.allclose(late[RATE // 4 :], whole[missing + RATE // 4 :], atol=1e-3)


def test_much_junk_before_the_sound_is_told_of() -> None:
    clip = decode(np.random.default_rng(0).bytes(5000) + mp3(), RATE)
    assert clip.source.warnings == ("The first 5000 bytes are no sound.",)


def test_a_few_frames_among_other_things_are_no_sound_file() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(UnsupportedFormat):
        decode(random.bytes(9000) + mp3(seconds=0.5) + random.bytes(90_000), RATE)


@pytest.mark.parametrize("between", [b"", ID3, APE, b"TAG" + bytes(125), ID3 + bytes(2000)])
@pytest.mark.parametrize("case", ["mp3", "mp3-untold"])
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_recordings_one_behind_the_other_are_all_heard(
    case: str, rate: int, between: bytes
) -> None:
    first, second = (encoded(case, tone(r), r) for r in (RATE, rate))
    clip = decode(first + between + second, RATE)
    assert clip.source.warnings == ()
    both = [decode(data, RATE) for data in (first, second)]
    expected = torch.cat([one.samples for one in both])
    if rate == RATE and case == "mp3-untold":  # one stream, for all that the decoder knows
        assert abs(len(expected) - len(clip.samples)) < RATE // 10
    else:
        assert torch.equal(clip.samples, expected)
    assert clip.source.duration_s == pytest.approx(
        sum(one.source.duration_s for one in both), abs=0.1
    )


@pytest.mark.parametrize("codec", ["ogg-vorbis", "ogg-opus"])
def test_links_of_an_ogg_chain_are_all_heard(codec: str) -> None:
    rates = (48_000, 16_000)
    links = [encoded(codec, tone(rate, channels), rate) for channels, rate in enumerate(rates, 1)]
    expected = torch.cat([decode(link, RATE).samples for link in links])
    clip = decode(b"".join(links), RATE)
    assert clip.source.warnings == ()
    assert torch.equal(clip.samples, expected)


@pytest.mark.parametrize("wide", [False, True])
def test_amr_is_heard(wide: bool) -> None:
    # FFmpeg's wheels hold no encoder of AMR: frames of noise at each of its rates, and of silence.
    sizes = (17, 23, 32, 36, 40, 46, 50, 58, 60) if wide else (12, 13, 15, 17, 19, 20, 26, 31)
    random = np.random.default_rng(0)
    kinds = [*range(len(sizes))] * 5 + [15]
    frames = [
        bytes([kind << 3 | 4]) + random.bytes(sizes[kind] if kind < 15 else 0) for kind in kinds
    ]
    data = (b"#!AMR-WB\n" if wide else b"#!AMR\n") + b"".join(frames)
    clip = decode(data, RATE)
    assert (clip.source.format, clip.source.sample_rate) == ("amr", RATE if wide else 8000)
    assert clip.duration_s == pytest.approx(0.02 * len(frames), abs=0.021)
    assert clip.source.warnings == ()
    assert clip.samples.abs().max() > 0.01
    cut = decode(data[: -1 - sizes[-1] // 2], RATE)
    assert cut.source.warnings[-1].startswith("The file breaks off")
    with pytest.raises(CorruptAudio):
        decode(data[:15], RATE)


# --- MP4 and Matroska


@pytest.mark.parametrize("kind", [b"wide", b"free", b"skip", b"pnot"])
def test_quicktime_may_start_with_another_atom(kind: bytes) -> None:
    data = by_ffmpeg(noise(0.1), RATE, "mov", "pcm_s16le")
    assert data[4:12] == b"ftypqt  "
    clip = decode(data[:4] + kind + data[8:], RATE)
    assert clip.source.format == "mov"
    assert np.abs(clip.samples.numpy() - noise(0.1)[:, 0]).max() <= 1 / 32768


def with_subtitles(kind: str, count: int, last: bool, seconds: float) -> bytes:
    """The tone among ``count`` tracks of text, ``last`` behind them."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        text = "mov_text" if kind == "mp4" else "ass"

        def add() -> list[av.stream.Stream]:
            return [container.add_stream(text) for _ in range(count)]

        texts = add() if last else []
        track = container.add_stream("aac", rate=RATE, layout="mono")
        texts = texts or add()
        for stream in texts:
            stream.codec_context.subtitle_header = b"[Script Info]\n"
        frame = av.AudioFrame.from_ndarray(tone(RATE, 1, seconds).T.copy(), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        packets = list(itertools.chain(track.encode(frame), track.encode(None)))
        for number, packet in enumerate(packets):
            container.mux(packet)
            if number % 16 == 0:
                for stream in texts:
                    line = av.Packet(b"\0\x02hi" if kind == "mp4" else b"0,0,Default,,0,0,0,,hi")
                    line.stream, line.time_base = stream, track.time_base
                    line.pts = line.dts = packet.pts
                    line.duration = RATE // 2
                    container.mux(line)
    return file.getvalue()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", ["matroska", "mp4"])
def test_many_tracks_hide_no_sound(kind: str, last: bool) -> None:
    data = with_subtitles(kind, 22, last, 12.0)
    clip = decode(data, RATE)
    assert clip.source.warnings == ()
    assert clip.duration_s == pytest.approx(12.0, abs=0.1)
    assert clip.samples[RATE : 11 * RATE].unfold(0, RATE // 10, RATE // 10).std(dim=1).min() > 0.1


def test_of_two_sound_tracks_one_is_heard_and_this_is_said() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        tracks = [container.add_stream("flac", rate=RATE, layout="mono") for _ in range(2)]
        for track in tracks:
            steps = (noise(0.5).T * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(steps), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, 0
            for part in (frame, None):
                container.mux(track.encode(part))
    assert decode(file.getvalue(), RATE).source.warnings == ("Of 2 sound tracks, one is heard.",)
    assert decode(video(sound=True), RATE).source.warnings == ()


def test_a_pause_of_the_clock_is_told_of() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        track = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for second in (0, 1, 4):
            steps = (noise(1.0).T * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(steps), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, second * RATE
            container.mux(track.encode(frame))
    clip = decode(file.getvalue(), RATE)
    assert clip.duration_s == 3.0
    assert clip.source.warnings == ("Nothing is stored for 2.0 s in between, and it is left out.",)
