"""Uploads that are damaged, forged or made to burst, against a process with the real decoders.

No model computes: the captioner is ``Decoding``. Whatever is sent, the answer is 200 or says what
is wrong with it (4xx), and the process keeps its memory.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial

import httpx
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.support.audio import by_ffmpeg, by_soundfile
from tests.support.client import assert_problem, in_parallel, multipart
from tests.support.process import Process, serving

Samples = NDArray[np.float32]
Random = np.random.Generator

RATE = 16_000
BIT_RATE = 64_000
MIB = 1 << 20
MUTANTS = 2000
REFUSED = (400, 413, 415, 422)


@pytest.fixture(scope="module")
def decoding() -> Iterator[Process]:
    with serving("Decoding", cache_mb=0) as process:
        yield process


# -- files ------------------------------------------------------------------------------------


@cache
def files() -> dict[str, bytes]:
    """A quarter of a second of a stereo tone in noise, in every format."""
    times = np.arange(RATE // 4)[:, None] / RATE
    noise = np.random.default_rng(0).standard_normal((len(times), 2)) / 20
    sound = (0.4 * np.sin(2 * np.pi * 440 * times) + noise).astype(np.float32)
    return {
        "wav-8": by_soundfile(sound, RATE, "WAV", "PCM_U8"),
        "wav-16": by_soundfile(sound, RATE, "WAV", "PCM_16"),
        "wav-24": by_soundfile(sound, RATE, "WAV", "PCM_24"),
        "wav-32": by_soundfile(sound, RATE, "WAV", "PCM_32"),
        "wav-float": by_soundfile(sound, RATE, "WAV", "FLOAT"),
        "flac": by_soundfile(sound, RATE, "FLAC"),
        "ogg-vorbis": by_soundfile(sound, RATE, "OGG", "VORBIS"),
        "ogg-opus": by_soundfile(sound, RATE, "OGG", "OPUS"),
        "mp3": by_soundfile(sound, RATE, "MP3"),
        "m4a": by_ffmpeg(sound, RATE, "ipod", "aac", BIT_RATE),
        "aac": by_ffmpeg(sound, RATE, "adts", "aac", BIT_RATE),
        "webm": by_ffmpeg(sound, RATE, "webm", "libopus", BIT_RATE),
    }


# Of each format: a mark in the file, how far from it a field begins, and the field's bytes.
FIELDS: dict[str, list[tuple[bytes, int, int]]] = {
    "wav": [
        (b"RIFF", 4, 4),  # length of the file
        (b"fmt ", 4, 4),  # length of the header
        (b"fmt ", 8, 2),  # codec
        (b"fmt ", 10, 2),  # channels
        (b"fmt ", 12, 4),  # rate
        (b"fmt ", 20, 2),  # bytes of a frame
        (b"fmt ", 22, 2),  # bits
        (b"data", 4, 4),  # length of the sound
    ],
    "flac": [
        (b"fLaC", 5, 3),  # length of the header
        (b"fLaC", 8, 2),  # smallest block
        (b"fLaC", 10, 2),  # largest block
        (b"fLaC", 18, 3),  # rate, channels, bits
        (b"fLaC", 21, 5),  # count of samples
        (b"\xff\xf8", 2, 2),  # a frame's length, rate and channels
    ],
    "ogg": [
        (b"OggS", 5, 1),  # flags
        (b"OggS", 6, 8),  # position
        (b"OggS", 18, 4),  # number of the page
        (b"OggS", 26, 1),  # count of segments
        (b"OggS", 27, 1),  # length of a segment
        (b"OpusHead", 9, 1),  # channels
        (b"OpusHead", 10, 2),  # samples to skip
        (b"OpusHead", 12, 4),  # rate
        (b"OpusHead", 16, 3),  # gain, mapping of channels
        (b"\x01vorbis", 11, 1),  # channels
        (b"\x01vorbis", 12, 4),  # rate
        (b"\x01vorbis", 28, 1),  # lengths of blocks
        (b"\x05vorbis", 7, 8),  # code books
    ],
    "mp3": [
        (b"\xff", 1, 3),  # a frame's rate and channels, and so its length
        (b"Info", 4, 4),  # flags
        (b"Info", 8, 4),  # count of frames
        (b"Info", 12, 4),  # length of the file
    ],
    "m4a": [
        *((kind, -4, 4) for kind in (b"moov", b"trak", b"stbl", b"stsd", b"mdat")),  # lengths
        (b"mdhd", 16, 4),  # rate
        (b"mdhd", 20, 4),  # length of the sound
        (b"mp4a", 20, 2),  # channels
        (b"mp4a", 28, 4),  # rate
        (b"stts", 8, 4),  # count of entries, count of samples, length of one
        (b"stts", 12, 4),
        (b"stts", 16, 4),
        (b"stsc", 8, 4),  # count of entries
        (b"stsz", 8, 4),  # size of all samples, count of samples
        (b"stsz", 12, 4),
        (b"stco", 8, 4),  # count of chunks, place of the first
        (b"stco", 12, 4),
        (b"esds", 20, 8),  # the codec's own header
    ],
    "aac": [
        (b"\xff\xf1", 2, 2),  # a frame's rate and channels
        (b"\xff\xf1", 3, 3),  # its length
    ],
    "webm": [
        (b"\x18\x53\x80\x67", 4, 8),  # length of the segment
        (b"\x16\x54\xae\x6b", 4, 1),  # of the tracks
        (b"\x1f\x43\xb6\x75", 4, 4),  # of a cluster
        (b"\xb5", 2, 8),  # rate
        (b"\x9f", 2, 1),  # channels
        (b"\x56\xaa", 3, 2),  # delay
        (b"\x2a\xd7\xb1", 4, 3),  # nanoseconds of a tick
        (b"OpusHead", 9, 1),
        (b"OpusHead", 10, 2),
    ],
}


# -- mutations --------------------------------------------------------------------------------


def flip(kind: str, random: Random) -> bytes:
    """A few bits flipped or bytes set, half of the times in the header."""
    mutant = bytearray(files()[kind])
    reach = min(len(mutant), 300) if random.integers(2) else len(mutant)
    for at in random.integers(reach, size=random.integers(1, 9)):
        mutant[at] = random.choice([mutant[at] ^ (1 << random.integers(8)), random.integers(256)])
    return bytes(mutant)


def truncate(kind: str, random: Random) -> bytes:
    return files()[kind][: random.integers(1, len(files()[kind]))]


def splice(kind: str, random: Random) -> bytes:
    """The start of one file and the end of another."""
    other = files()[random.choice([*files()])]
    return files()[kind][: random.integers(1, 2000)] + other[random.integers(300) :]


def _parts(kind: str, random: Random) -> tuple[bytes, bytes, bytes]:
    """What is before a block of up to a fifth of the file, the block, and what comes after."""
    data = files()[kind]
    start = random.integers(len(data) // 2 if random.integers(2) else 300)
    end = start + random.integers(1, len(data) // 5)
    return data[:start], data[start:end], data[end:]


def duplicate(kind: str, random: Random) -> bytes:
    before, block, after = _parts(kind, random)
    return before + block * int(random.integers(2, 5)) + after


def zero(kind: str, random: Random) -> bytes:
    before, block, after = _parts(kind, random)
    return before + bytes(len(block)) + after


def remove(kind: str, random: Random) -> bytes:
    before, _, after = _parts(kind, random)
    return before + after


def forge(kind: str, random: Random) -> bytes:
    """One or two lengths, rates, channels or counts that are not true."""
    data = files()[kind]
    fields = FIELDS[kind.partition("-")[0]]
    fields = [field for field in fields if field[0] in data]
    for _ in range(random.integers(1, 3)):
        mark, offset, size = fields[random.integers(len(fields))]
        found = [match.start() for match in re.finditer(re.escape(mark), data)][:50]
        at = random.choice(found) + offset if found else 0
        value = random.choice([0, 1, 2**31 - 1, 2**31, 2**40 - 1, random.integers(2**40)])
        order = random.choice(["little", "big"])
        forged = (int(value) % 256**size).to_bytes(size, order)
        data = data[:at] + forged + data[at + size :]
    return data


MUTATIONS = (flip, truncate, splice, duplicate, zero, remove, forge)

_CRC = [0] * 256
for _byte in range(256):
    _crc = _byte << 24
    for _ in range(8):
        _crc = (_crc << 1) ^ (0x104C11DB7 if _crc >> 31 else 0)
    _CRC[_byte] = _crc


def sealed(data: bytes) -> bytes:
    """The checksums of Ogg pages made right (RFC 3533), so that a decoder gets to what is wrong."""
    sealed = bytearray(data)
    for match in re.finditer(b"OggS", data):
        at = match.start()
        body = at + 27 + (data[at + 26] if len(data) > at + 26 else 0)
        end = body + sum(data[at + 27 : body])
        if end <= len(data):
            sealed[at + 22 : at + 26] = bytes(4)
            crc = 0
            for byte in sealed[at:end]:
                crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
            sealed[at + 22 : at + 26] = crc.to_bytes(4, "little")
    return bytes(sealed)


def mutant(number: int) -> tuple[str, str, bytes]:
    """Its format, what was done to it, and the file; the same for the same number."""
    random = np.random.default_rng(number)
    kind = [*files()][number % len(files())]
    mutation = MUTATIONS[number // len(files()) % len(MUTATIONS)]
    data = mutation(kind, random)
    if kind.startswith("ogg") and random.integers(2):
        data = sealed(data)
    return kind, mutation.__name__, data


def test_mutants_are_themselves_and_differ() -> None:
    made = [mutant(number) for number in range(MUTANTS)]
    assert made[::7] == [mutant(number) for number in range(0, MUTANTS, 7)]
    assert len({data for _, _, data in made} - {*files().values()}) > 0.9 * MUTANTS
    assert all(sealed(data) == data for kind, data in files().items() if kind[:3] == "ogg")


def test_mutated_uploads(decoding: Process) -> None:
    intact = files()["flac"]

    def send(number: int) -> httpx.Response:
        _, _, data = mutant(number)
        try:
            if number % 4 == 3:
                return decoding.difference(data, intact)
            return decoding.caption(data)
        except httpx.TransportError as error:
            error.add_note(f"mutant {number}")
            raise

    outcomes: Counter[tuple[str, bool]] = Counter()
    memory = []
    for numbers in (range(500), range(500, MUTANTS)):
        answers = in_parallel(8, [partial(send, number) for number in numbers])
        for number, answer in zip(numbers, answers, strict=True):
            kind, mutation, _ = mutant(number)
            accepted = answer.status_code == 200
            if accepted:
                body = answer.json()
                audio = body.get("audio", body.get("input"))
                assert audio["duration_s"] > 0
                if mutation == "truncate":
                    assert audio["warnings"], (number, kind)
            else:
                assert answer.status_code in REFUSED, (number, kind, mutation, answer.text)
                assert_problem(answer, *REFUSED)
            outcomes[kind, accepted] += 1
            outcomes[mutation, accepted] += 1
        memory.append(decoding.tell("weigh")["rss"])
    for what in (*files(), *(mutation.__name__ for mutation in MUTATIONS)):
        assert outcomes[what, False], f"{what}: all were accepted"
        assert outcomes[what, True], f"{what}: none was accepted"
    after_500, after_all = memory
    # A leak of a file's samples (32 KiB) per upload would add 47 MiB, of its buffers more.
    assert after_all < 1.05 * after_500 + 16 * MIB
    assert decoding.http.get("/readyz").status_code == 200
    # Neither FFmpeg nor libsndfile writes into the log, and nothing is reported in it.
    assert {json.loads(line)["level"] for line in decoding.log} == {"info"}


# -- envelopes --------------------------------------------------------------------------------

ENVELOPE = "multipart/form-data; boundary=xx"


def test_mutated_envelopes(decoding: Process) -> None:
    whole = multipart(file=files()["flac"])
    whole = whole.replace(b"--xx", b'--xx\r\nContent-Disposition: form-data; name="num_beams"', 1)
    whole = whole.replace(b'"num_beams"', b'"num_beams"\r\n\r\n2\r\n--xx', 1)
    types = [ENVELOPE] * 9 + [
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x",
        f"multipart/form-data; boundary={'x' * 300}",
        "multipart/form-data; boundary*=utf-8''%ff",
        "multipart/form-data; charset=utf-16; boundary=xx",
        "multipart/form-data; charset=utf-7; boundary=xx",
        "multipart/form-data; charset=hex; boundary=xx",
        "multipart/form-data; charset=%00; boundary=xx",
        "multipart/mixed; boundary=xx",
        "\x80\xff",
    ]

    def send(number: int) -> httpx.Response:
        random = np.random.default_rng(number)
        body = bytearray(whole)
        for _ in range(random.integers(3)):
            # Nearly everything that is not the file is at the start.
            at = random.integers(-10, 170)
            match random.integers(4):
                case 0:
                    body[at] = random.integers(256)
                case 1:
                    del body[at : at + random.integers(1, 30)]
                case 2:
                    body[at:at] = body[at : at + random.integers(1, 200)] * 3
                case _:
                    body[at:at] = (b"\r\n", b'"', b"\0", b"--xx", b"\xff", b";")[random.integers(6)]
        headers = {"content-type": types[random.integers(len(types))].encode("latin-1")}
        return decoding.http.post("/caption", headers=headers, content=bytes(body))

    answers = in_parallel(8, [partial(send, number) for number in range(400)])
    for number, answer in enumerate(answers):
        assert answer.status_code in (200, *REFUSED), (number, answer.text)
    statuses = Counter(answer.status_code for answer in answers)
    assert min(statuses[status] for status in (200, 400, 422)) > 10


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode"])
def test_a_charset_that_cannot_be_decoded(decoding: Process, charset: str) -> None:
    body = multipart(**{"xn--a.b..c": files()["flac"]})
    headers = {"content-type": f"{ENVELOPE}; charset={charset}"}
    assert_problem(decoding.http.post("/caption", headers=headers, content=body), *REFUSED)


# -- bombs ------------------------------------------------------------------------------------

LONGEST_S = 10


@pytest.fixture(scope="module")
def bombed() -> Iterator[Process]:
    with serving("Decoding", cache_mb=0, max_audio_seconds=LONGEST_S) as process:
        yield process


def opus_bomb() -> bytes:
    """Two hours in 130 kB: packets of one byte, each 120 ms without sound (RFC 6716, 3.2)."""

    def page(number: int, flags: int, samples: int, packets: list[bytes]) -> bytes:
        lengths = bytes(map(len, packets))
        head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, samples, 1, number, 0, len(lengths))
        return head + lengths + b"".join(packets)

    head = struct.pack("<8sBBHIHB", b"OpusHead", 1, 1, 0, 48_000, 0, 0)
    tags = struct.pack("<8sII", b"OpusTags", 0, 0)
    toc = bytes([3 << 3 | 1])  # the longest frames that there are, two of them, empty
    count = 2 * 3600 * 1000 // (120 * 255)
    pages = [page(0, 2, 0, [head]), page(1, 0, 0, [tags])]
    for number in range(count):
        flags = 4 if number == count - 1 else 0
        pages.append(page(number + 2, flags, (number + 1) * 255 * 5760, [toc] * 255))
    return sealed(b"".join(pages))


def flac_bomb() -> bytes:
    """Two hours of silence."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, "PCM_16", format="FLAC") as sound:
        for _ in range(120):
            sound.write(np.zeros(60 * 8000, np.int16))
    return file.getvalue()


def mp3_bomb() -> bytes:
    """An hour: one frame of silence, again and again."""
    silence = np.zeros((8000, 1), np.float32)
    data = by_ffmpeg(silence, 8000, "mp3", "libmp3lame", 8000, write_xing="0", id3v2_version="0")
    frame = data[72 * 8 : 72 * 9]
    assert frame[:2] == data[:2] == b"\xff\xe3"
    return frame * 50_000


def element(kind: int, body: bytes) -> bytes:
    """An element of Matroska (RFC 8794)."""
    identifier = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return identifier + (1 << 56 | len(body)).to_bytes(8, "big") + body


def matroska_bomb() -> bytes:
    """An hour and a half of PCM in 60 kB: blocks of zeros, compressed by the container itself."""
    rate = element(0xB5, struct.pack(">d", 8000))
    audio = element(0xE1, rate + element(0x9F, b"\1") + element(0x6264, b"\x08"))
    zipped = element(0x5034, element(0x4254, b"\0"))
    encodings = element(0x6D80, element(0x6240, zipped))
    track = [
        element(0xD7, b"\1"),
        element(0x73C5, b"\1"),
        element(0x83, b"\2"),
        element(0x86, b"A_PCM/INT/LIT"),
    ]
    tracks = element(0x1654AE6B, element(0xAE, b"".join(track) + encodings + audio))
    block = element(0xA3, b"\x81\0\0\x80" + zlib.compress(bytes(9_000_000), 9))
    cluster = element(0x1F43B675, element(0xE7, b"\0") + block * 5)
    head = element(0x1A45DFA3, element(0x4282, b"matroska"))
    return head + element(0x18538067, tracks + cluster)


BOMBS: dict[str, Callable[[], bytes]] = {
    "opus": opus_bomb,
    "flac": flac_bomb,
    "mp3": mp3_bomb,
    "matroska": matroska_bomb,
}


def forged(kind: str, mark: bytes, offset: int, value: bytes) -> bytes:
    """A file with other bytes so far from a mark."""
    data = files()[kind]
    at = data.index(mark) + offset
    return data[:at] + value + data[at + len(value) :]


def table_bomb() -> bytes:
    """An MP4 whose index counts 30 million samples: FFmpeg would keep 24 bytes of each."""
    data = bytearray(files()["m4a"])
    count = struct.pack(">I", 30_000_000)
    for mark, offset in ((b"stsz", 12), (b"stsc", 16), (b"stts", 12)):
        at = data.index(mark) + offset
        data[at : at + 4] = count
    at = data.index(b"stsz") + 8
    data[at : at + 4] = struct.pack(">I", 1)
    return bytes(data)


FORGED: dict[str, Callable[[], bytes]] = {
    "wav-length": lambda: forged("wav-16", b"data", 4, b"\xff\xff\xff\x7e"),
    "wav-rate": lambda: forged("wav-16", b"fmt ", 12, b"\xff\xff\xff\x7f"),
    "wav-slow": lambda: forged("wav-16", b"fmt ", 12, b"\1\0\0\0"),
    "wav-channels": lambda: forged("wav-16", b"fmt ", 10, b"\xff\xff"),
    "flac-length": lambda: forged("flac", b"fLaC", 22, b"\xff\xff\xff\xf0"),
    "vorbis-rate": lambda: sealed(forged("ogg-vorbis", b"\x01vorbis", 12, b"\xff\xff\xff\x7f")),
    "vorbis-channels": lambda: sealed(forged("ogg-vorbis", b"\x01vorbis", 11, b"\xff")),
    "opus-channels": lambda: sealed(forged("ogg-opus", b"OpusHead", 9, b"\xff")),
    "m4a-table": table_bomb,
}


def warmed(process: Process) -> Process:
    """Both libraries have been used; what they keep is no growth."""
    for kind in ("wav-16", "webm"):
        assert process.caption(files()[kind]).status_code == 200
    return process


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_put_out_early(bombed: Process, name: str) -> None:
    bomb = BOMBS[name]()
    assert len(bomb) < 4 * MIB
    before = warmed(bombed).tell("weigh")
    assert_problem(bombed.caption(bomb), 422)
    after = bombed.tell("weigh")
    # Ten seconds and the block that goes beyond; what Matroska deflates comes in one block, of
    # which FFmpeg takes no more than 10 MB. Each bomb holds 28 million samples or more.
    decoded = after["decoded_samples"] - before["decoded_samples"]
    block = 10_000_000 if name == "matroska" else 1 << 18
    assert LONGEST_S * 8000 < decoded <= LONGEST_S * 48_000 + block
    assert after["peak_rss"] - before["peak_rss"] < 160 * MIB


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_is_not_believed(bombed: Process, name: str) -> None:
    before = warmed(bombed).tell("weigh")
    assert_problem(bombed.caption(FORGED[name]()), *REFUSED)
    after = bombed.tell("weigh")
    assert after["decoded_samples"] - before["decoded_samples"] <= RATE  # no more than was there
    assert after["peak_rss"] - before["peak_rss"] < 160 * MIB


def test_a_forged_rate_of_flac_is_not_believed_for_its_frames_tell_another(
    bombed: Process,
) -> None:
    answer = bombed.caption(forged("flac", b"fLaC", 18, b"\xff\xff"))
    assert answer.json()["audio"]["sample_rate"] == RATE


def test_many_bombs_at_once(bombed: Process) -> None:
    bombs = [make() for make in BOMBS.values()] * 6
    before = warmed(bombed).tell("weigh")
    memory = []
    for _ in range(2):
        for answer in in_parallel(len(bombs), [partial(bombed.caption, bomb) for bomb in bombs]):
            assert_problem(answer, 422)
        memory.append(bombed.tell("weigh"))
    # Two threads decode; all that is in the bombs would take 11 GB.
    assert memory[0]["peak_rss"] - before["peak_rss"] < 320 * MIB
    assert memory[1]["rss"] < memory[0]["rss"] + 64 * MIB, "what they took is taken again"
