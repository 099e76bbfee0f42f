"""Files of chunks (WAV, AIFF, CAF): an identifier, a size and a body, one after the other.

WAV and AIFF are written anew with the two chunks that sound needs. What else they may hold (names,
comments, peaks, loops, cue points) is of no use here, and is what decoders have failed on: sizes
that lie in an INFO list keep libsndfile busy for ever, a strange PEAK makes it refuse the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from model.audio.frames import ADTS, MPEG
from model.audio.stream import Stream, cut_short, share
from model.errors import UnsupportedFormat

MAX_CHUNKS = 10_000
"""Chunks looked at per file."""

_UNKNOWN = 0x7FFFF000
"""Sizes from here on are those of writers to a pipe: FFmpeg leaves all ones, SoX nearly 2 GiB."""

_PCM = {1, 3, 6, 7}
"""Integers, floats, A-law and mu-law."""
_BY_LIBSNDFILE = {*_PCM, 0x02, 0x11, 0x31}
"""And Microsoft's ADPCM, IMA's and GSM."""
_MPEG = {0x50, 0x55}
_AC3 = 0x2000
_AAC = {0xFF, 0x1600, 0x1601, 0x1602, 0x1610, 0x706D, 0xA106}


def chunks(
    data: bytes, header: str, start: int, align: int = 1
) -> Iterator[tuple[bytes, int, int]]:
    """Walk chunks: identifier, where the body starts, its promised size.

    Some writers forget the byte that fills up a chunk of odd size; it is then not skipped.
    """
    length = struct.calcsize(header)
    at = start
    for _ in range(MAX_CHUNKS):
        if at + length > len(data):
            return
        kind, size = struct.unpack_from(header, data, at)
        yield kind, at + length, size
        at += length + max(size, 0)
        filled = at + size % align
        if _is_name(data[filled : filled + 4]) or not _is_name(data[at : at + 4]):
            at = filled


def read_wav(data: bytes) -> Stream:
    """RIFF or RF64 with samples, or with another codec's frames, in its ``data``.

    Raises:
        CorruptAudio: no ``fmt `` or no ``data``.
        UnsupportedFormat: AAC that cannot be taken apart.
    """
    form, size64, body, size = b"", None, 0, 0
    for kind, at, length in chunks(data, "<4sI", 12, 2):
        if kind == b"ds64" and at + 16 <= len(data):
            (size64,) = struct.unpack_from("<Q", data, at + 8)
        elif kind == b"fmt " and not form:
            form = data[at : at + length]
        elif kind == b"data":
            body, size = at, length
            break
    if not body and (place := data.find(b"data", 12)) > 0:  # the size of an earlier chunk lies
        body, size = place + 8, int.from_bytes(data[place + 4 : place + 8], "little")
    if len(form) < 16 or not 0 < body <= len(data):
        raise cut_short()
    if size == 0xFFFFFFFF and size64 is not None:
        size = size64
    elif size >= _UNKNOWN or (size == 0 and not _ends_in_chunks(data, body)):
        size = len(data) - body
    sound = data[body : body + size]
    missing = share(size - len(sound), len(sound))

    (tag,) = struct.unpack_from("<H", form)
    if tag == 0xFFFE and len(form) >= 26:  # "extensible": the tag is in the identifier further on
        (tag,) = struct.unpack_from("<H", form, 24)
    elif tag in _PCM:
        form = form[:16]
    if tag in _AAC and not ADTS.starts(sound):
        raise UnsupportedFormat(
            "There is AAC inside the WAV file, without the headers that its frames need. "
            "Send it as M4A, or as WAV with PCM."
        )
    if tag in _MPEG or tag in _AAC:
        inside = (MPEG if tag in _MPEG else ADTS).read(sound)
        return replace(inside, missing=max(inside.missing, missing))
    if tag == _AC3:
        return Stream((sound,), "ac3", missing)
    whole = b"WAVE" + _chunk("<4sI", b"fmt ", form) + _chunk("<4sI", b"data", sound)
    demuxer = None if tag in _BY_LIBSNDFILE else "wav"
    return Stream((_chunk("<4sI", b"RIFF", whole),), demuxer, missing)


def wav_missing(head: bytes, size: int) -> float:
    """The share of its samples that a WAV of ``size`` bytes lacks, by its first bytes."""
    size64 = None
    for kind, at, length in chunks(head, "<4sI", 12, 2):
        if kind == b"ds64" and at + 16 <= len(head):
            (size64,) = struct.unpack_from("<Q", head, at + 8)
        elif kind == b"data":
            if length == 0xFFFFFFFF and size64 is not None:
                length = size64
            elif length >= _UNKNOWN:
                return 0.0
            return share(length - (size - at), size - at)
    return 0.0


def read_aiff(data: bytes) -> Stream:
    """AIFF or AIFF-C. Raises CorruptAudio: no ``COMM`` or no ``SSND``."""
    common, sound, missing = b"", None, 0.0
    for kind, at, size in chunks(data, ">4sI", 12, 2):
        if kind == b"COMM" and not common:
            common = data[at : at + size]
        elif kind == b"SSND" and sound is None:
            sound = data[at : at + size]
            missing = share(size - len(sound), len(sound))
    if len(common) < 18 or sound is None:
        raise cut_short()
    whole = data[8:12] + _chunk(">4sI", b"COMM", common) + _chunk(">4sI", b"SSND", sound)
    return Stream((_chunk(">4sI", b"FORM", whole),), None, missing)


def read_caf(data: bytes) -> Stream:
    """Apple's Core Audio Format. Raises CorruptAudio: no ``data``."""
    for kind, at, size in chunks(data, ">4sq", 8):
        if kind == b"data":  # a size of -1 is unknown
            present = len(data) - at
            return Stream((data,), "caf", share(size - present, present))
    raise cut_short()


def _ends_in_chunks(data: bytes, start: int) -> bool:
    """Whether nothing but chunks follows, to the very end: samples do not look like that."""
    end = start
    for kind, at, size in chunks(data, "<4sI", start, 2):
        if not _is_name(kind):
            return False
        end = at + size
    return start < end and len(data) in (end, end + end % 2)


def _is_name(kind: bytes) -> bool:
    return len(kind) == 4 and all(0x20 <= byte < 0x7F for byte in kind)


def _chunk(header: str, kind: bytes, body: bytes) -> bytes:
    return struct.pack(header, kind, len(body)) + body + bytes(len(body) % 2)
