"""Files as trees of parts that tell their size: chunks, boxes, elements, pages, frames.

A file is taken apart into nodes, and put together again with every size and checksum right but
those that a mutation states otherwise.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from model.audio.frames import ADTS, AMR_NB, MPEG, Framing, id3_bytes


@dataclass
class Node:
    """One part of a file."""

    kind: bytes | None
    """What stands before its size; None for bytes that tell none, as frames."""
    body: bytes | list[Node]
    prefix: bytes = b""
    """Fields between the size and the children."""
    claim: int | None = None
    """The size that is stated in place of the true one."""


Nodes = list[Node]
Wrap = Callable[[bytes, bytes, int | None], bytes]
"""Kind, content and the claim to the part's bytes."""


@dataclass(frozen=True)
class Dialect:
    """How one family of files is built."""

    parse: Callable[[bytes], Nodes]
    """An intact file taken apart."""
    wrap: Wrap
    sound: Callable[[Node], bool]
    """Whether a leaf is sound and nothing else."""
    optional: tuple[bytes, ...] = ()
    """Kinds of parts that every reader must skip."""
    places: Callable[[Nodes], tuple[Nodes, int, int]] = lambda nodes: (
        nodes,
        len(nodes),
        len(nodes),
    )
    """Where they may lie: the list, its first and its last place; else at the end alone."""

    def write(self, nodes: Nodes) -> bytes:
        """Put a tree together."""
        return b"".join(self._bytes(node) for node in nodes)

    def _bytes(self, node: Node) -> bytes:
        body = node.body if isinstance(node.body, bytes) else self.write(node.body)
        if node.kind is None:
            return node.prefix + body
        return self.wrap(node.kind, node.prefix + body, node.claim)


def walk(nodes: Nodes) -> Iterator[tuple[Nodes, int]]:
    """Every node of a tree: the list that holds it, and its place there."""
    for place, node in enumerate(nodes):
        yield nodes, place
        if isinstance(node.body, list):
            yield from walk(node.body)


def _anywhere(node: Node) -> tuple[Nodes, int, int]:
    assert isinstance(node.body, list)
    return node.body, 0, len(node.body)


def _field(value: int, size: int, order: str) -> bytes:
    return (value % 256**size).to_bytes(size, "little" if order == "<" else "big")


# -- chunks: RIFF, AIFF, CAF ------------------------------------------------------------------


def _chunked(order: str, size: int = 4, align: int = 2) -> Wrap:
    def wrap(kind: bytes, body: bytes, claim: int | None) -> bytes:
        stated = len(body) if claim is None else claim
        return kind + _field(stated, size, order) + body + bytes(len(body) % align)

    return wrap


def _chunks(data: bytes, order: str, forms: Collection[bytes], size: int = 4) -> Nodes:
    nodes, at = [], 0
    code = {4: "I", 8: "q"}[size]
    while at + 4 + size <= len(data):
        kind, length = struct.unpack_from(f"{order}4s{code}", data, at)
        body = data[at + 4 + size :][: length if length >= 0 else None]
        nodes.append(
            Node(kind, _chunks(body[4:], order, forms), body[:4])
            if kind in forms
            else Node(kind, body)
        )
        at += 4 + size + len(body) + (len(body) % 2 if size == 4 else 0)
    return nodes


def _chunk_dialect(order: str, forms: Collection[bytes], sound: bytes, *names: bytes) -> Dialect:
    return Dialect(
        lambda data: _chunks(data, order, forms),
        _chunked(order),
        lambda node: node.kind == sound,
        names,
        lambda nodes: _anywhere(nodes[0]),
    )


RIFF = _chunk_dialect("<", (b"RIFF", b"LIST"), b"data", b"LIST", b"JUNK", b"bext", b"id3 ")
AIFF = _chunk_dialect(">", (b"FORM",), b"SSND", b"ANNO", b"NAME", b"ID3 ", b"APPL")
CAF = Dialect(
    lambda data: [Node(None, data[:8]), *_chunks(data[8:], ">", (), 8)],
    _chunked(">", 8, 1),
    lambda node: node.kind == b"data",
    (b"free", b"strg", b"uuid"),
    lambda nodes: (nodes, 2, len(nodes) - 1),  # behind the description, before the sound
)


# -- boxes: MP4 -------------------------------------------------------------------------------

_BOXES = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta"), 0),
    **dict.fromkeys((b"mvex", b"moof", b"traf", b"mfra", b"ilst"), 0),
    b"meta": 4,
    b"stsd": 8,
    b"dref": 8,
    b"mp4a": 28,
}
"""Boxes of boxes, and the bytes of their own fields."""


def _boxes(data: bytes) -> Nodes:
    nodes, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + size]
        if (own := _BOXES.get(kind)) is not None:
            nodes.append(Node(kind, _boxes(body[own:]), body[:own]))
        else:
            nodes.append(Node(kind, body))
        at += max(size, 8)
    return nodes


def _box(kind: bytes, body: bytes, claim: int | None) -> bytes:
    return _field(len(body) + 8 if claim is None else claim, 4, ">") + kind + body


# At the end alone: the places of samples are counted from the file's start.
MP4 = Dialect(_boxes, _box, lambda node: node.kind == b"mdat", (b"free", b"skip", b"wide"))


# -- elements: Matroska -----------------------------------------------------------------------

_MASTERS = {
    *(bytes.fromhex(name) for name in ("1a45dfa3", "18538067", "1654ae6b", "ae", "e1")),
    *(bytes.fromhex(name) for name in ("1f43b675", "a0", "114d9b74", "4dbb", "1549a966")),
    *(bytes.fromhex(name) for name in ("1c53bb6b", "bb", "b7", "1254c367", "7373", "63c0", "67c8")),
}
"""Header, segment, tracks, a track, its sound; cluster, group of blocks, seek head and entry, info;
cues, a cue, its place, tags, a tag, its target and text."""


def _elements(data: bytes) -> Nodes:
    nodes, at = [], 0
    while at < len(data):
        size_at = at + 9 - data[at].bit_length()
        body_at = size_at + 9 - data[size_at].bit_length()
        mask = (1 << 7 * (body_at - size_at)) - 1
        size = int.from_bytes(data[size_at:body_at], "big") & mask
        kind, body = data[at:size_at], data[body_at:][:size]
        nodes.append(Node(kind, _elements(body) if kind in _MASTERS else body))
        at = body_at + len(body)
    return nodes


def _element(kind: bytes, body: bytes, claim: int | None) -> bytes:
    stated = len(body) if claim is None else claim
    return kind + (1 << 56 | stated % (1 << 56)).to_bytes(8, "big") + body


EBML = Dialect(
    _elements,
    _element,
    lambda node: node.kind in (b"\xa3", b"\xa1"),
    (b"\xec",),
    lambda nodes: _anywhere(nodes[1]),
)


# -- pages: Ogg -------------------------------------------------------------------------------

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> bytes:
    """Of an Ogg page whose own checksum is zero (RFC 3533, 6): zlib's, the bits turned round."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED)


def _pages(data: bytes) -> Nodes:
    nodes, at = [], 0
    while at < len(data):
        count = data[at + 26]
        end = at + 27 + count + sum(data[at + 27 : at + 27 + count])
        nodes.append(Node(data[at : at + 22], data[at + 26 : end]))
        at = end
    return nodes


def _page(kind: bytes, body: bytes, claim: int | None) -> bytes:
    """``kind`` is the header up to the checksum; what is claimed is the count of segments."""
    if claim is not None:
        body = bytes([claim % 256]) + body[1:]
    return kind + checksum(kind + bytes(4) + body) + body


def foreign(body: bytes, number: int, flags: int) -> Node:
    """A page of a stream that no reader knows, and all have to pass over."""
    body = body[: 254 * 255]
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    kind = struct.pack("<4sBBqII", b"OggS", 0, flags, 0, 0x0DD, number)
    return Node(kind, bytes([len(lacing)]) + lacing + body)


OGG = Dialect(_pages, _page, lambda node: node.kind is not None and any(node.kind[6:14]))


# -- frames: FLAC, MP3, AAC, AMR --------------------------------------------------------------


def _syncsafe(size: int) -> bytes:
    return bytes(size >> 7 * place & 0x7F for place in (3, 2, 1, 0))


def _id3(kind: bytes, body: bytes, claim: int | None) -> bytes:
    """A tag, or a frame of one, whose flags lie behind its size."""
    size = _syncsafe(len(body)) if claim is None else _field(claim, 4, ">")
    return kind + size + body if kind[:3] == b"ID3" else kind[:4] + size + kind[4:] + body


def _tagged(framing: Framing) -> Callable[[bytes], Nodes]:
    def parse(data: bytes) -> Nodes:
        nodes, at = [], id3_bytes(data)
        if at:
            nodes.append(Node(data[:6], _id3_frames(data[10:at])))
        if framing.magic:
            nodes.append(Node(None, framing.magic))
            at = len(framing.magic)
        while at < len(data) and (size := framing.header(data, at)[0]):
            nodes.append(Node(None, data[at : at + size]))
            at += size
        return nodes

    return parse


def _id3_frames(data: bytes) -> Nodes:
    nodes, at = [], 0
    while at + 10 <= len(data) and data[at]:
        size = sum(byte << 7 * (3 - place) for place, byte in enumerate(data[at + 4 : at + 8]))
        nodes.append(Node(data[at : at + 4] + data[at + 8 : at + 10], data[at + 10 :][:size]))
        at += 10 + size
    return [*nodes, Node(None, data[at:])] if at < len(data) else nodes


def _is_frame(node: Node) -> bool:
    return node.kind is None


_TAG = b"ID3\4\0\0"
MP3 = Dialect(_tagged(MPEG), _id3, _is_frame, (_TAG,), lambda nodes: (nodes, 0, len(nodes)))
AAC = Dialect(_tagged(ADTS), _id3, _is_frame, (_TAG,), lambda nodes: (nodes, 0, len(nodes)))
AMR = Dialect(_tagged(AMR_NB), _id3, _is_frame)


def _flac(data: bytes) -> Nodes:
    nodes, at = [Node(None, data[:4])], 4
    while not (at > 4 and nodes[-1].kind and nodes[-1].kind[0] & 0x80):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        nodes.append(Node(data[at : at + 1], data[at + 4 : at + 4 + size]))
        at += 4 + size
    starts = [at, *(at + 2 + found.start() for found in re.finditer(rb"\xff\xf8", data[at + 2 :]))]
    ends = [*starts[1:], len(data)]
    return nodes + [Node(None, data[start:end]) for start, end in zip(starts, ends, strict=True)]


FLAC = Dialect(
    _flac,
    lambda kind, body, claim: kind + _field(len(body) if claim is None else claim, 3, ">") + body,
    lambda node: node.kind is None and node.body != b"fLaC",
    (b"\1", b"\2", b"\4", b"\6"),
    lambda nodes: (nodes, 2, 2),  # behind STREAMINFO
)
