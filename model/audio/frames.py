"""Files that are frames and nothing else (MP3, AAC, AMR): found, followed and freed of the rest.

A frame starts with a few bytes that tell how long it is, so the next one is known, and where there
is none, several that follow each other are looked for, as players do: a recording may start in mid
frame, and tags, zeros and damage may lie anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from model.audio.stream import BREAKS_OFF, Stream, cut_short, share
from model.errors import UnsupportedFormat

Header = tuple[int, Hashable]
"""Bytes of the frame, 0 if there is none; what it has in common with the rest of its recording."""
NONE: Header = (0, None)

CHAIN = 4
"""Frames that must follow each other before it is believed that they are frames."""

MAX_TAGS = 100
"""Tags looked for between two frames."""

MAX_SEARCHES = 200_000
"""Places per file where a frame is looked for."""


@dataclass(frozen=True)
class Framing:
    """One kind of frames."""

    demuxer: str
    """FFmpeg's name for it."""
    header: Callable[[bytes, int], Header]
    """What starts at a place."""
    sync: bytes
    """The first byte of every frame; empty if it may be any."""
    promised: Callable[[bytes], int | None] = lambda _: None
    """The count of frames that an index in a frame tells; None if the frame holds sound."""
    magic: bytes = b""
    """What the file, and each part for the decoder, starts with."""

    def starts(self, data: bytes) -> bool:
        """Whether frames follow each other from the first byte on."""
        return _follow(data, 0, self)

    def holds(self, data: bytes) -> bool:
        """Whether there are frames anywhere."""
        return _find(data, 0, self) is not None

    def read(self, data: bytes) -> Stream:
        """Frames to one part for each recording that was put into the file.

        A part ends where the kind of frames changes (version, rate, mono or stereo), and where
        another index says that another recording begins.

        Raises:
            CorruptAudio: there are none.
            UnsupportedFormat: there are more other bytes than frames after a start that is none.
        """
        walk = _Walk(data, self)
        walk.run()
        parts = [self.magic + b"".join(part.frames) for part in walk.parts]
        if not parts:
            raise cut_short("its first frame")
        present = sum(part.size for part in walk.parts)
        lost = sum(part.lost for part in walk.parts)
        if walk.junk and lost > present:
            raise UnsupportedFormat("There are frames of sound in it, but this is no sound file.")
        notes = [f"The first {walk.junk} bytes are no sound."] if walk.junk > 4096 else []
        notes += [BREAKS_OFF] if walk.breaks_off else []
        return Stream(tuple(parts), self.demuxer, share(lost, present), tuple(notes))


@dataclass
class _Part:
    """The frames of one recording."""

    key: Hashable
    promised: int | None
    frames: list[bytes] = field(default_factory=list)
    size: int = 0
    skipped: int = 0
    """Bytes among and after the frames that are neither frames nor tags."""

    @property
    def lost(self) -> float:
        """Bytes of frames that are not there; by the index where there is one."""
        if self.promised is None:
            return self.skipped
        # Some count the index itself as a frame.
        missing = self.promised - len(self.frames) + (1 if self.skipped else 0)
        return max(0, missing) * self.size / len(self.frames)


class _Walk:
    """Goes through a file from frame to frame."""

    def __init__(self, data: bytes, framing: Framing) -> None:
        self._data = data
        self._framing = framing
        self.parts: list[_Part] = []
        self.junk = 0
        """Bytes before the first frame that are no tags."""
        self.breaks_off = False
        """Whether the file ends in mid frame, and nothing tells how many there should be."""

    def run(self) -> None:
        """Fill ``parts``."""
        data, framing = self._data, self._framing
        at = len(framing.magic)
        searches = 0
        while at < len(data):
            size, key = framing.header(data, at)
            if not (size and self.parts and key == self.parts[-1].key):
                found, skipped = _next(data, at, framing, first=not self.parts)
                self._skip(skipped)
                searches += 1
                if found is None or searches > MAX_SEARCHES:
                    return
                at = found
                size, key = framing.header(data, at)
            frame = data[at : at + size]
            if len(frame) < size:
                self._skip(size)
                self.breaks_off = bool(self.parts) and self.parts[-1].promised is None
                return
            promised = framing.promised(frame)
            if not self.parts or key != self.parts[-1].key or promised is not None:
                self.parts.append(_Part(key, promised or None))
            part = self.parts[-1]
            part.frames.append(frame)
            part.size += size
            at += size

    def _skip(self, size: int) -> None:
        if self.parts:
            self.parts[-1].skipped += size
        else:
            self.junk += size


def _next(data: bytes, start: int, framing: Framing, *, first: bool) -> tuple[int | None, int]:
    """Where frames start again, if they do, and how many bytes before it were sound, it seems.

    Tags are none, and neither are zeros beside them or at either end of the file.
    """
    at, lost, beside = start, 0, first
    found = _find(data, at, framing)
    for left in reversed(range(MAX_TAGS)):
        end = len(data) if found is None else found
        tag = _find_tag(data, at, end) if left else None
        rest = data[at : end if tag is None else tag]
        if beside or tag is not None or found is None:
            rest = rest.strip(b"\0")
        # Behind the last frame, sound starts like a frame or is more than fits in one.
        if found is not None or len(rest) > 1441 or (rest and rest.startswith(framing.sync)):
            lost += len(rest)
        if tag is None:
            break
        at, beside = tag + _tag_bytes(data, tag), True
        if found is not None and found < at:  # it was in the tag
            found = _find(data, at, framing)
    return found, lost


def _find(data: bytes, start: int, framing: Framing) -> int | None:
    """The first place from ``start`` on where frames follow each other."""
    at = start
    for _ in range(MAX_SEARCHES):
        at = data.find(framing.sync, at)
        if at < 0 or at >= len(data):
            return None
        if _follow(data, at, framing):
            return at
        at += 1
    return None


def _follow(data: bytes, start: int, framing: Framing) -> bool:
    """Whether ``CHAIN`` frames of one kind follow each other, or those that there are to the end.

    One alone is believed only if it is all that there is.
    """
    at, first = start, None
    for count in range(CHAIN):
        size, key = framing.header(data, at)
        if not size or (first is not None and key != first):
            return count > 1 and (at >= len(data) or _tag_bytes(data, at) > 0)
        first = key
        at += size
        if at + 7 > len(data):
            return count > 0 or start <= len(framing.magic)
    return True


_TAGS = (b"ID3", b"APETAGEX", b"TAG", b"LYRICSBEGIN")


def _find_tag(data: bytes, start: int, end: int) -> int | None:
    """The first tag that starts between."""
    places = [at for tag in _TAGS if (at := data.find(tag, start, end)) >= 0]
    return min((at for at in places if _tag_bytes(data, at)), default=None)


def _tag_bytes(data: bytes, at: int) -> int:
    """Length of the tag that starts at ``at``; 0 if none does."""
    if data.startswith(b"ID3", at):
        return id3_bytes(data, at)
    if data.startswith(b"APETAGEX", at) and len(data) >= at + 32:
        # A header is not counted in the size, a footer is.
        header = data[at + 23] & 0x20
        return 32 + (int.from_bytes(data[at + 12 : at + 16], "little") if header else 0)
    if data.startswith(b"TAG", at):
        return 128
    if data.startswith(b"LYRICSBEGIN", at):
        end = data.find(b"LYRICS200", at)
        return end + 9 - at if end > 0 else 0
    return 0


def id3_bytes(data: bytes, at: int = 0) -> int:
    """Length of the ID3v2 tag at ``at``; 0 if none is."""
    head = data[at : at + 10]
    if len(head) < 10 or head[:3] != b"ID3" or head[3] > 4 or max(head[6:]) > 0x7F:
        return 0
    # Four bytes of seven bits each; a footer, if flagged, repeats the header's ten bytes.
    size = sum(byte << 7 * (3 - i) for i, byte in enumerate(head[6:]))
    return 10 + size + (10 if head[5] & 0x10 else 0)


_KBPS_1 = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # layer III
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),  # layer II
}
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mpeg_header(data: bytes, at: int) -> Header:
    """MPEG layers II and III (ISO/IEC 11172-3, 2.4.2.3; 13818-3 for the lower rates)."""
    header = int.from_bytes(data[at : at + 4], "big")
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate, rate, padding = header >> 12 & 15, header >> 10 & 3, header >> 9 & 1
    if header >> 21 != 0x7FF or version == 1 or layer not in _KBPS_1 or bitrate in (0, 15):
        return NONE
    if rate == 3:
        return NONE
    key = (version, layer, rate, header >> 6 & 3 == 3)
    hertz = (44100, 48000, 32000)[rate]
    if version == 3:
        return 144_000 * _KBPS_1[layer][bitrate] // hertz + padding, key
    hertz //= 2 if version == 2 else 4
    return (72_000 if layer == 1 else 144_000) * _KBPS_2[bitrate] // hertz + padding, key


def _mpeg_promised(frame: bytes) -> int | None:
    """The index by Xing (LAME, FFmpeg) lies after the side information, VBRI (Fraunhofer) at 36."""
    if any(frame[at : at + 4] in (b"Xing", b"Info") for at in (13, 21, 36)):
        at = max(frame.find(b"Xing"), frame.find(b"Info"))
        counts = len(frame) >= at + 12 and frame[at + 7] & 1
        return int.from_bytes(frame[at + 8 : at + 12], "big") if counts else 0
    if frame[36:40] == b"VBRI":
        return int.from_bytes(frame[50:54], "big")
    return None


def _adts_header(data: bytes, at: int) -> Header:
    """AAC (ISO/IEC 13818-7, 6.2)."""
    header = int.from_bytes(data[at : at + 7], "big")
    size = header >> 13 & 0x1FFF
    if header >> 44 != 0xFFF or header >> 41 & 3 or size < 7:
        return NONE
    return size, (header >> 38 & 3, header >> 34 & 15, header >> 30 & 7)


_AMR_NB = (13, 14, 16, 18, 20, 21, 27, 32, 6, *(0,) * 6, 1)
_AMR_WB = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, *(0,) * 4, 1, 1)


def _amr_header(sizes: tuple[int, ...]) -> Callable[[bytes, int], Header]:
    """Speech frames (RFC 4867, 5.3): four bits of the first byte are the kind."""

    def header(data: bytes, at: int) -> Header:
        if at >= len(data) or data[at] & 0x83:
            return NONE
        return sizes[data[at] >> 3 & 15], None

    return header


MPEG = Framing("mp3", _mpeg_header, b"\xff", _mpeg_promised)
ADTS = Framing("aac", _adts_header, b"\xff")
AMR_NB = Framing("amr", _amr_header(_AMR_NB), b"", magic=b"#!AMR\n")
AMR_WB = Framing("amr", _amr_header(_AMR_WB), b"", magic=b"#!AMR-WB\n")
