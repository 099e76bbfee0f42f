"""What is cut short, damaged, forged or no audio at all is refused, and for the right reason."""

from __future__ import annotations

import base64
import io
import re
import resource
import struct
import zlib

import numpy as np
import pytest
import soundfile
import torch

from model.audio import decode
from model.errors import AudioError, AudioTooLarge, CorruptAudio, EmptyAudio, UnsupportedFormat
from tests.unit.model.audio_files import (
    CASES,
    RATE,
    by_ffmpeg,
    by_soundfile,
    encoded,
    noise,
    ogg_pages,
    tone,
    video,
)

UNTOLD = ("mp3-untold", "aac", "webm-live")
"""Formats that nowhere say how long they are."""

# --- cut short, damaged


@CASES
def test_a_file_cut_short_is_refused_or_says_so(case: str, files: dict[str, bytes]) -> None:
    data = files[case]
    whole = decode(data, RATE).source
    assert whole.warnings == ()
    for left in [len(data) - cut for cut in (1, 2, 3, 10, 50)] + [
        int(len(data) * part) for part in (0.98, 0.95, 0.7, 0.5, 0.3, 0.1)
    ]:
        if case == "mp4-fragments" and left > len(data) * 0.95:
            continue  # an index for seeking ends the file; all of the sound is before it
        try:
            heard = decode(data[:left], RATE).source
        except CorruptAudio:
            continue
        assert heard.warnings
        if case not in UNTOLD:
            assert heard.duration_s >= 0.85 * whole.duration_s


@pytest.mark.parametrize("case", ["wav-16", "wav-rf64", "aiff", "caf", "wma", "webm", "mp3"])
def test_little_may_be_missing_and_more_may_not(case: str) -> None:
    data = encoded(case, noise(3.0), RATE)
    clip = decode(data[: int(len(data) * 0.95)], RATE)
    (warning,) = clip.source.warnings
    assert re.fullmatch(r"0\.[01]\d s of the sound are damaged or missing\.", warning)
    assert clip.duration_s == pytest.approx(2.85, abs=0.1)
    with pytest.raises(CorruptAudio, match=r"1[1-9]% .* more than 10% .* Send the whole file"):
        decode(data[: int(len(data) * 0.85)], RATE)


@pytest.mark.parametrize("case", UNTOLD)
def test_where_the_end_is_not_told_a_cut_is(case: str) -> None:
    data = encoded(case, noise(3.0), RATE)
    clip = decode(data[: len(data) // 2], RATE)
    assert clip.source.warnings[-1].startswith("The file breaks off")
    assert clip.duration_s == pytest.approx(1.5, abs=0.1)


def test_fragments_that_break_off_before_the_sound_they_index_say_so() -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "300000"}
    data = by_ffmpeg(noise(2.0), RATE, "mp4", "aac", **options)
    header = data.rindex(b"mdat") - 4
    for left in (header, header + 1, header + 7):
        source = decode(data[:left], RATE).source
        assert source.warnings[-1].startswith("The file breaks off")
        assert 1.0 < source.duration_s < 2.0


@CASES
def test_a_file_cut_in_its_header_is_refused(case: str, files: dict[str, bytes]) -> None:
    for left in range(1, 200, 7):
        with pytest.raises((CorruptAudio, UnsupportedFormat)):
            decode(files[case][:left], RATE)


def test_a_count_of_mp3_frames_that_is_not_reached_is_missed() -> None:
    data = encoded("mp3", noise(1.0), RATE)
    count = max(data.find(b"Xing"), data.find(b"Info")) + 8
    told = int.from_bytes(data[count : count + 4], "big")
    for more, warned in ((1, False), (3, True)):  # the index may count as a frame
        forged = data[:count] + (told + more).to_bytes(4, "big") + data[count + 4 :]
        assert bool(decode(forged, RATE).source.warnings) == warned
    with pytest.raises(CorruptAudio):
        decode(data[:count] + (told + 9).to_bytes(4, "big") + data[count + 4 :], RATE)


@pytest.mark.parametrize("case", ["ogg-vorbis", "ogg-opus"])
def test_ogg_without_a_mark_at_its_end_is_heard(case: str) -> None:
    pages = ogg_pages(encoded(case, noise(3.0), RATE))
    assert len(pages) > 4
    last = bytearray(pages[-1])
    last[5] &= ~4
    (unmarked,) = ogg_pages(bytes(last), sealed=True)
    whole = decode(b"".join([*pages[:-1], unmarked]), RATE)
    assert whole.duration_s == pytest.approx(3.0, abs=0.1)
    cut = decode(b"".join(pages[:-1]), RATE)
    assert cut.duration_s < whole.duration_s
    for clip in (whole, cut):  # which of the two it is, nobody can tell
        assert clip.source.warnings[0].startswith("The file does not mark its end")


def test_flac_that_ends_between_frames_says_so() -> None:
    data = bytearray(by_soundfile(noise(0.5), RATE, "FLAC"))
    assert int.from_bytes(data[18:26], "big") & 0xFFFFFFFFF == RATE // 2
    data[24:26] = (RATE // 2 + 160).to_bytes(2, "big")  # the count of samples in STREAMINFO
    assert decode(bytes(data), RATE).source.warnings == (
        "0.01 s of the sound are damaged or missing.",
    )
    data[24:26] = (RATE // 2 + 1600).to_bytes(2, "big")
    with pytest.raises(CorruptAudio, match="17%"):
        decode(bytes(data), RATE)


def test_whole_flac_is_whole_however_many_frames_it_has() -> None:
    for tenths in range(1, 30):
        samples = noise(tenths / 10, 44_100)
        clip = decode(by_ffmpeg(samples, 44_100, "flac", "flac"), 44_100)
        assert len(clip.samples) == len(samples)
        assert clip.source.warnings == ()


@pytest.mark.parametrize("case", ["flac", "mp3", "mp3-untold", "aac", "m4a", "m4a-alac"])
def test_a_bad_frame_is_left_out_and_told_of(case: str) -> None:
    data = encoded(case, noise(4.0), RATE)
    half = len(data) // 2
    for junk in (b"\xff" * 300, bytes(300)):
        if case == "aac" and not any(junk):
            continue  # zeros are a valid end of its frame
        clip = decode(data[:half] + junk + data[half + 300 :], RATE)
        assert clip.source.warnings[0].endswith(" s of the sound are damaged or missing.")
        assert 3.6 < clip.duration_s < 4.1
        assert clip.source.warnings[1:] == ()


@pytest.mark.parametrize("damage", ["a bit", "taken out"])
def test_a_bad_page_of_ogg_is_left_out_and_told_of(damage: str) -> None:
    pages = ogg_pages(encoded("ogg-opus", noise(14.0), RATE))
    assert len(pages) > 12
    bad = bytes([*pages[6][:-1], pages[6][-1] ^ 1]) if damage == "a bit" else b""
    clip = decode(b"".join([*pages[:6], bad, *pages[7:]]), RATE)
    assert clip.duration_s == pytest.approx(13.0, abs=0.1)
    (warning,) = clip.source.warnings
    assert 0.8 < float(warning.split()[0]) < 1.2


def test_damage_of_much_is_corrupt() -> None:
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


def test_a_size_that_leads_before_the_start_is_corrupt() -> None:
    data = bytearray(by_soundfile(noise(0.1), RATE, "AIFF", "PCM_16"))
    at = data.index(b"SSND") + 4
    data[at : at + 4] = bytes(4)
    with pytest.raises(CorruptAudio):  # and nothing is raised where it can only be written down
        decode(bytes(data), RATE)


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
