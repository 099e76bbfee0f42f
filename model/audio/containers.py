"""What a file is by its first bytes, and what of it is sound.

A file is named here, before any library sees it, and is then opened as that and nothing else: no
decoder guesses, so a playlist that points at other files or at addresses is never followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.audio.frames import ADTS, AMR_NB, AMR_WB, MPEG, id3_bytes
from model.audio.ogg import read_ogg
from model.audio.promises import read_asf, read_flac, read_matroska, read_mp4
from model.audio.riff import read_aiff, read_caf, read_wav
from model.audio.stream import Stream
from model.errors import CorruptAudio, UnsupportedFormat


@dataclass(frozen=True)
class Container:
    """One kind of file."""

    name: str
    matches: Callable[[bytes], bool]
    """Whether a file that starts like this is of the kind."""
    read: Callable[[bytes], Stream]
    """What of the file its decoder is to see. Raises CorruptAudio or UnsupportedFormat."""
    demuxer: str
    """FFmpeg's name for it."""


def identify(data: bytes) -> tuple[str, Stream]:
    """Name the file and take its sound out.

    Raises:
        UnsupportedFormat: the bytes are those of no kind listed in ``CONTAINERS``.
        CorruptAudio: the file ends before any sound.
    """
    rest = _without_leading_tags(data)
    if data and not rest:
        raise CorruptAudio("The file is cut short inside its leading tag. Send the whole file.")
    container = recognize(rest)
    return container.name, container.read(rest)


def recognize(head: bytes) -> Container:
    """The kind of a file that starts like this. Raises UnsupportedFormat: none of them."""
    for container in CONTAINERS:
        if container.matches(head):
            return container
    names = ", ".join(sorted({container.name for container in CONTAINERS}))
    raise UnsupportedFormat(f"This is not an audio file that can be read. Send one of: {names}.")


def _without_leading_tags(data: bytes) -> bytes:
    """Leave out ID3v2 tags, which precede MP3 and now and then AAC or FLAC."""
    at = 0
    while size := id3_bytes(data, at):
        at += size
    return data[at:].lstrip(b"\0") if at else data


_RIFF = (b"RIFF", b"RF64", b"BW64")
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"styp", b"moof")
_QUICKTIME_ATOMS = (b"wide", b"free", b"skip", b"pnot", b"uuid", b"PICT")
_EBML = b"\x1a\x45\xdf\xa3"
_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"

CONTAINERS: tuple[Container, ...] = (
    Container("wav", lambda head: head[8:12] == b"WAVE" and head[:4] in _RIFF, read_wav, "wav"),
    Container("aiff", lambda head: head[8:11] == b"AIF" and head[:4] == b"FORM", read_aiff, "aiff"),
    Container("flac", lambda head: head[:4] == b"fLaC", read_flac, "flac"),
    Container("ogg", lambda head: head[:4] == b"OggS", read_ogg, "ogg"),
    Container("m4a", lambda head: head[4:11] in (b"ftypM4A", b"ftypM4B"), read_mp4, "mov"),
    Container("3gp", lambda head: head[4:10] == b"ftyp3g", read_mp4, "mov"),
    Container("mov", lambda head: head[4:10] == b"ftypqt", read_mp4, "mov"),
    Container("mp4", lambda head: head[4:8] in _MP4_BOXES, read_mp4, "mov"),
    Container("mov", lambda head: head[4:8] in _QUICKTIME_ATOMS, read_mp4, "mov"),
    Container(
        "webm", lambda head: head[:4] == _EBML and b"webm" in head[:64], read_matroska, "matroska"
    ),
    Container("mkv", lambda head: head[:4] == _EBML, read_matroska, "matroska"),
    Container("caf", lambda head: head[:4] == b"caff", read_caf, "caf"),
    Container("wma", lambda head: head[:8] == _ASF, read_asf, "asf"),
    Container("amr", lambda head: head.startswith(AMR_NB.magic), AMR_NB.read, "amr"),
    Container("amr", lambda head: head.startswith(AMR_WB.magic), AMR_WB.read, "amr"),
    Container("mp3", MPEG.starts, MPEG.read, "mp3"),
    Container("aac", ADTS.starts, ADTS.read, "aac"),
    Container("mp3", MPEG.holds, MPEG.read, "mp3"),
    Container("aac", ADTS.holds, ADTS.read, "aac"),
)
"""In the order in which they are tried: the particular before the general."""
