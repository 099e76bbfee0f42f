"""What a file is by its first bytes, and whether all of it is there.

A file is named here, before any library sees it, and is then opened as that and nothing else: no
decoder guesses, so a playlist that points at other files or at addresses is never followed.
libsndfile and FFmpeg play a file that was cut off as if it ended there. So the promises that
containers make (sizes of chunks, counts of frames, marks of the end) are read here and held to.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from model.errors import CorruptAudio, UnsupportedFormat

MAX_ELEMENTS = 100_000
"""Chunks, elements or frames looked at per file: over 20 minutes of the shortest ones in use."""


@dataclass(frozen=True)
class Container:
    """One kind of file."""

    name: str
    matches: Callable[[bytes], bool]
    """Whether a file that starts like this is of the kind."""
    complete: Callable[[bytes], bytes | None]
    """What the decoder is to see of the file (junk after the end left out), None if cut short."""
    demuxer: str | None = None
    """FFmpeg's name for the kind; None if libsndfile reads it."""


def identify(data: bytes) -> tuple[Container, bytes]:
    """Name the file and return it as its decoder is to see it.

    Raises:
        UnsupportedFormat: the first bytes are those of no kind listed in ``CONTAINERS``.
        CorruptAudio: the file holds less than it promises.
    """
    stream = _without_leading_tags(data)
    for container in CONTAINERS:
        if container.matches(stream):
            whole = container.complete(stream)
            if whole is None:
                raise CorruptAudio(
                    f"The {container.name} file is cut short or damaged: it holds less than its "
                    "headers promise. Send the whole file again."
                )
            return container, whole
    if data and not stream:
        raise CorruptAudio("The file is cut short inside its leading tag. Send the whole file.")
    names = ", ".join(sorted({container.name for container in CONTAINERS}))
    raise UnsupportedFormat(f"This is not an audio file that can be read. Send one of: {names}.")


def _without_leading_tags(data: bytes) -> bytes:
    """Leave out ID3v2 tags, which precede MP3 and now and then AAC or FLAC."""
    at = 0
    for _ in range(4):
        if data[at : at + 3] != b"ID3" or len(data) < at + 10:
            break
        # Four bytes of seven bits each; a footer, if flagged, repeats the header's ten bytes.
        size = sum(byte << 7 * (3 - i) for i, byte in enumerate(data[at + 6 : at + 10]))
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return data[at:].lstrip(b"\0") if at else data


def _any_length(data: bytes) -> bytes:
    """Promise nothing: FLAC's own count of samples is compared by its reader."""
    return data


def _chunks(data: bytes, header: str, start: int, align: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk IFF-like chunks: identifier, where the body starts, its promised size."""
    length = struct.calcsize(header)
    at = start
    for _ in range(MAX_ELEMENTS):
        if at + length > len(data):
            return
        kind, size = struct.unpack_from(header, data, at)
        yield kind, at + length, size
        at += length + max(size, 0)
        at += -at % align


def _complete_wav(data: bytes) -> bytes | None:
    size64 = None
    for kind, body, size in _chunks(data, "<4sI", 12, 2):
        if kind == b"ds64" and body + 16 <= len(data):
            (size64,) = struct.unpack_from("<Q", data, body + 8)
        if kind == b"data":
            if size == 0xFFFFFFFF and size64 is not None:
                size = size64
            # Writers to a pipe cannot know the size: FFmpeg leaves all ones, SoX nearly 2 GiB,
            # GStreamer zero, of which libsndfile would make an empty file.
            if size == 0 and body < len(data):
                return data[: body - 4] + b"\xff\xff\xff\xff" + data[body:]
            return data if size >= 0x7FFFF000 or body + size <= len(data) else None
    return None


def _complete_aiff(data: bytes) -> bytes | None:
    for kind, body, size in _chunks(data, ">4sI", 12, 2):
        if kind == b"SSND":
            return data if body + size <= len(data) else None
    return None


def _complete_caf(data: bytes) -> bytes | None:
    for kind, body, size in _chunks(data, ">4sq", 8, 1):
        if kind == b"data":
            return data if body + size <= len(data) else None  # a size of -1 is unknown
    return None


def _complete_mp4(data: bytes) -> bytes | None:
    """ISO/IEC 14496-12, 4.2: boxes, whose sizes include their own headers."""
    at, kinds = 0, set()
    for _ in range(MAX_ELEMENTS):
        if at + 8 > len(data):
            break
        size, kind = struct.unpack_from(">I4s", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        kinds.add(kind)
        if at + size > len(data) and kind in (b"moov", b"moof", b"mdat"):
            return None
        if size < 8:  # 0: up to the end of the file
            break
        at += size
    # Without an index ("moov") nothing plays; a still picture has "meta" in its place.
    return data if kinds & {b"moov", b"meta"} else None


def _complete_matroska(data: bytes) -> bytes | None:
    """RFC 8794: elements of an identifier, a size and a body."""
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at == len(data):
            break
        size_at = at + 9 - data[at].bit_length()  # leading zero bits tell how long a number is
        if size_at >= len(data):
            return None
        body = size_at + 9 - data[size_at].bit_length()
        unknown = (1 << 7 * (body - size_at)) - 1
        size = int.from_bytes(data[size_at:body], "big") & unknown
        if size == unknown:  # a live recording's segment or cluster: look at what is inside
            size = 0
        elif data[at:size_at] == b"\x18\x53\x80\x67":  # a segment: nothing counts after it
            return data if body + size <= len(data) else None
        at = body + size
        if at > len(data):
            return None
    return data


def _complete_ogg(data: bytes) -> bytes | None:
    """RFC 3533: the last page of a stream is marked as such."""
    page = data.rfind(b"OggS")
    if len(data) < page + 27 or not data[page + 5] & 0x04:
        return None
    body = page + 27 + data[page + 26]
    end = body + sum(data[page + 27 : body])
    return data[:end] if end <= len(data) else None


def _complete_asf(data: bytes) -> bytes | None:
    """ASF specification, 3.2: the file properties hold the file's size, unless broadcast."""
    guid = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    at = data.find(guid, 0, 1 << 16)
    if at < 0 or at + 92 > len(data):
        return None
    size, flags = struct.unpack_from("<Q", data, at + 40)[0], data[at + 88]
    return data if flags & 1 or size <= len(data) else None


def _mp3_frame_bytes(data: bytes, at: int) -> int:
    """Length of the MPEG layer III frame at ``at`` (ISO/IEC 11172-3, 2.4.2.3); 0 if none is."""
    header = int.from_bytes(data[at : at + 4], "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate, rate, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return 0
    hertz = (44100, 48000, 32000)[rate]
    if version == 3:
        return 144_000 * _KBPS_1[bitrate] // hertz + padding
    return 72_000 * _KBPS_2[bitrate] // (hertz // (2 if version == 2 else 4)) + padding


_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _adts_frame_bytes(data: bytes, at: int) -> int:
    """Length of the AAC frame at ``at`` (ISO/IEC 13818-7, 6.2); 0 if none is."""
    header = int.from_bytes(data[at : at + 7], "big")
    size = header >> 13 & 0x1FFF
    return size if header >> 44 == 0xFFF and not header >> 41 & 3 and size >= 7 else 0


def _starts_frames(data: bytes, frame_bytes: Callable[[bytes, int], int]) -> bool:
    """Whether two frames follow each other, or the one that there is fills the file."""
    size = frame_bytes(data, 0)
    return size > 0 and (size + 7 > len(data) or frame_bytes(data, size) > 0)


def _complete_frames(
    data: bytes, frame_bytes: Callable[[bytes, int], int], promised: int
) -> bytes | None:
    """Follow frames to the last; what comes after it may be a tag or a little junk."""
    end, count = 0, 0
    while count < MAX_ELEMENTS and (size := frame_bytes(data, end)):
        end += size
        count += 1
    if count == MAX_ELEMENTS:
        return data
    if end > len(data) or count < promised:
        return None
    rest = data[end:].lstrip(b"\0")
    tagged = rest.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3"))
    # Without a promise, a start of a frame, or more than fits in one, is sound gone bad.
    junk = len(rest) <= 1441 and not rest.startswith(b"\xff")
    return data[:end] if promised or tagged or junk else None


def _complete_mp3(data: bytes) -> bytes | None:
    """The first frame may be an index by Xing (LAME, FFmpeg) or VBRI (Fraunhofer)."""
    first = data[: _mp3_frame_bytes(data, 0)]
    promised = 0
    xing = max(first.find(b"Xing"), first.find(b"Info"))
    if xing > 0 and len(first) >= xing + 12 and first[xing + 7] & 1:
        promised = int.from_bytes(first[xing + 8 : xing + 12], "big")
    elif first[36:40] == b"VBRI":
        promised = int.from_bytes(first[50:54], "big")
    return _complete_frames(data, _mp3_frame_bytes, promised)


def _complete_adts(data: bytes) -> bytes | None:
    return _complete_frames(data, _adts_frame_bytes, 0)


_RIFF = (b"RIFF", b"RF64", b"BW64")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat")
_EBML = b"\x1a\x45\xdf\xa3"
_MATROSKA = (_complete_matroska, "matroska")
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"

CONTAINERS: tuple[Container, ...] = (
    Container("wav", lambda head: head[8:12] == b"WAVE" and head[:4] in _RIFF, _complete_wav),
    Container("aiff", lambda head: head[8:11] == b"AIF" and head[:4] == b"FORM", _complete_aiff),
    Container("flac", lambda head: head[:4] == b"fLaC", _any_length),
    Container("ogg", lambda head: head[:4] == b"OggS", _complete_ogg, "ogg"),
    Container("m4a", lambda head: head[4:11] in (b"ftypM4A", b"ftypM4B"), _complete_mp4, "mov"),
    Container("3gp", lambda head: head[4:10] == b"ftyp3g", _complete_mp4, "mov"),
    Container("mov", lambda head: head[4:10] == b"ftypqt", _complete_mp4, "mov"),
    Container("mp4", lambda head: head[4:8] in _MP4_BOXES, _complete_mp4, "mov"),
    Container("webm", lambda head: head[:4] == _EBML and b"webm" in head[:64], *_MATROSKA),
    Container("mkv", lambda head: head[:4] == _EBML, *_MATROSKA),
    Container("caf", lambda head: head[:4] == b"caff", _complete_caf, "caf"),
    Container("wma", lambda head: head[:8] == _ASF, _complete_asf, "asf"),
    Container("mp3", lambda head: _starts_frames(head, _mp3_frame_bytes), _complete_mp3, "mp3"),
    Container("aac", lambda head: _starts_frames(head, _adts_frame_bytes), _complete_adts, "aac"),
)
"""In the order in which they are tried: the particular before the general."""
