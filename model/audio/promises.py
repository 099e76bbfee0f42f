"""What MP4, Matroska, ASF and FLAC promise, read from their own structure.

FFmpeg plays a file that was cut off as if it ended there, and passes over what it cannot read.
"""

from __future__ import annotations

import struct

from model.audio.stream import BREAKS_OFF, Stream, cut_short, share

MAX_ELEMENTS = 100_000
"""Boxes and elements looked at per file: over 20 minutes of the shortest ones in use."""


def read_mp4(data: bytes) -> Stream:
    """ISO/IEC 14496-12, 4.2: boxes, whose sizes include their own headers.

    The index of a file in fragments ("moof") says nothing of those that follow.
    """
    at, kinds, kind = 0, set(), b""
    missing = 0.0
    for _ in range(MAX_ELEMENTS):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if at + size > len(data) and kind in (b"moov", b"moof", b"mdat"):
            if kind == b"moov":
                raise cut_short("its index")
            missing = share(at + size - len(data), len(data))
        kinds.add(kind)
        if size < 8:  # 0: up to the end of the file
            break
        at += size
    # Without an index ("moov") nothing plays; a still picture has "meta" in its place.
    if not kinds & {b"moov", b"meta"}:
        raise cut_short("its index")
    breaks_off = b"moof" in kinds and (kind == b"moof" or at < len(data) < at + 8)
    return Stream((data,), "mov", missing, (BREAKS_OFF,) if breaks_off else ())


_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_ROOT = {0x1A45DFA3, _SEGMENT, 0xEC, 0xBF}
"""The header, and what may lie anywhere: void, a checksum."""
_IN_SEGMENT = {
    *(0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B),  # seek head, info, tracks, cues
    *(0x1941A469, 0x1043A770, 0x1254C367, 0xEC, 0xBF),  # attachments, chapters, tags
}
_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0xEC, 0xBF}
"""Time, silent tracks, position, size of the one before, blocks."""


def read_matroska(data: bytes) -> Stream:
    """RFC 8794: elements of an identifier, a size and a body; RFC 9559: which there are.

    Where one is that cannot be there, all up to the next cluster is lost.
    """
    at = start = lost = 0
    end, breaks_off = len(data), False
    known = _ROOT
    for _ in range(MAX_ELEMENTS):
        if at >= min(end, len(data)):
            break
        start = at
        head = _element(data, at)
        if head is None:
            lost += len(data) - at
            breaks_off = True
            break
        kind, body, size = head
        if kind == _SEGMENT and known is _ROOT:
            end = body + size if size is not None else end
            at, known = body, _IN_SEGMENT
        elif kind == _CLUSTER and known is not _ROOT:
            at, known = body, _IN_SEGMENT | _IN_CLUSTER
        elif kind in known and size is not None:
            at = body + size
        elif (cluster := data.find(_CLUSTER.to_bytes(4, "big"), at + 1)) > 0:
            lost += cluster - at
            at = cluster
        elif known is _ROOT:  # junk behind it
            break
        else:
            lost += len(data) - at
            break
    if known is _ROOT:
        raise cut_short()
    if at > len(data):  # what is there of the last element is lost as well
        lost += len(data) - start
        breaks_off = True
    lost += max(0, max(at, end) - len(data))
    # Of a live recording's end nothing is told.
    notes = (BREAKS_OFF,) if breaks_off and end == len(data) else ()
    return Stream((data,), "matroska", share(lost, len(data)), notes)


def _element(data: bytes, at: int) -> tuple[int, int, int | None] | None:
    """Identifier, where the body starts, size (None: unknown); None if cut off or none."""
    size_at = at + 9 - data[at].bit_length()  # leading zero bits tell how long a number is
    if size_at >= len(data):
        return None
    body = size_at + 9 - data[size_at].bit_length()
    if body > len(data):
        return None
    unknown = (1 << 7 * (body - size_at)) - 1
    size = int.from_bytes(data[size_at:body], "big") & unknown
    return int.from_bytes(data[at:size_at], "big"), body, None if size == unknown else size


def read_asf(data: bytes) -> Stream:
    """ASF specification, 3.2: the file properties hold the file's size, unless broadcast."""
    guid = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    at = data.find(guid, 0, 1 << 16)
    if at < 0 or at + 92 > len(data):
        raise cut_short()
    size, flags = struct.unpack_from("<Q", data, at + 40)[0], data[at + 88]
    return Stream((data,), "asf", 0.0 if flags & 1 else share(size - len(data), len(data)))


def read_flac(data: bytes) -> Stream:
    """RFC 9639, 8: of the metadata nothing is kept but STREAMINFO, which must come first."""
    at, last = 4, False
    while not last:
        if at + 4 > len(data):
            raise cut_short()
        last = bool(data[at] & 0x80)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    if data[4] & 0x7F or len(data) < 42 or at > len(data):
        raise cut_short()
    return Stream((b"fLaC\x80\0\0\x22" + data[8:42] + data[at:],), "flac")
