"""Ogg (RFC 3533): pages with a checksum each, in links that are recordings of their own."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from model.audio.stream import BREAKS_OFF, Stream, cut_short, share

MAX_BAD_PAGES = 1000
"""What looks like a page takes up to a tenth of a millisecond to be checked."""

_FIRST, _LAST = 0x02, 0x04
"""Flags of the first and of the last page of a logical stream."""

NO_END = "The file does not mark its end: if it was cut short, the rest is not heard."

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class _Link:
    """One recording of a chain: the pages of its streams, which start together."""

    pages: list[bytes] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)
    """Stream -> number of its last page."""
    started: bool = False
    """Whether there are pages that are no stream's first."""


def read_ogg(data: bytes) -> Stream:
    """The pages that are whole, each link of a chain a part of its own.

    An end without a mark (Android's recorder makes none) is noted. Raises CorruptAudio: no page.
    """
    links: list[_Link] = []
    end = lost = present = 0
    flags = 0
    for start, stop in _pages(data):
        page = data[start:stop]
        flags, stream = page[5], page[14:18]
        number = int.from_bytes(page[18:22], "little")
        if not links or (flags & _FIRST and links[-1].started):
            links.append(_Link())
        link = links[-1]
        link.started |= not flags & _FIRST
        # What lies between was pages; or pages are not there at all, and their numbers lack.
        skipped = max(0, number - link.numbers.get(stream, number - 1) - 1)
        if present and (start > end or skipped):
            lost += max(start - end, min(skipped, 1000) * len(page))
        link.numbers[stream] = number
        link.pages.append(page)
        end = stop
        present += len(page)
    if not links:
        raise cut_short()
    if (cut := data.find(b"OggS", end)) >= 0:
        lost += max(len(data) - cut, _page_bytes(data, cut))
    notes: tuple[str, ...] = ()
    if not flags & _LAST:
        notes = (BREAKS_OFF if cut >= 0 else NO_END,)
    parts = tuple(b"".join(link.pages) for link in links)
    return Stream(parts, "ogg", share(lost, present), notes)


def marks_end(tail: bytes) -> bool:
    """Whether the last page, of a file that ends like this, is marked as a stream's last."""
    at = tail.rfind(b"OggS")
    return at >= 0 and at + 5 < len(tail) and bool(tail[at + 5] & _LAST)


def _pages(data: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each page whose checksum is right, until too many are not."""
    at, bad = data.find(b"OggS"), 0
    while at >= 0 and bad < MAX_BAD_PAGES:
        size = _page_bytes(data, at)
        if size and at + size <= len(data) and _is_sound(data[at : at + size]):
            yield at, at + size
            at = data.find(b"OggS", at + size)
        else:
            bad += 1
            at = data.find(b"OggS", at + 4)


def _page_bytes(data: bytes, at: int) -> int:
    """Length of the page at ``at``; 0 if its header is cut off."""
    if len(data) < at + 27 or len(data) < at + 27 + data[at + 26]:
        return 0
    return 27 + data[at + 26] + sum(data[at + 27 : at + 27 + data[at + 26]])


def _is_sound(page: bytes) -> bool:
    """Whether the checksum is right: CRC-32 with the bits the other way round than zlib's.

    Its register starts at 0, and is not inverted at the end.
    """
    zeroed = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(zeroed.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return page[22:26] == crc.to_bytes(4, "big").translate(_REVERSED)
