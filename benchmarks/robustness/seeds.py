"""Intact files of every format, which mutants are made of: a sound made in code, tags and all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from benchmarks.ingestion.formats import VORBIS, Format, encode, sounds
from benchmarks.robustness import trees
from benchmarks.robustness.trees import Dialect, Nodes

SECONDS = 1.5


@dataclass(frozen=True)
class Seed:
    """An intact file."""

    format: str
    dialect: Dialect | None
    """None: it is mutated as bytes alone."""
    data: bytes

    def tree(self) -> Nodes:
        """Taken apart anew, to be changed."""
        return [] if self.dialect is None else self.dialect.parse(self.data)


_SAME = (("fflags", "bitexact"),)
"""No numbers drawn by chance in the file."""
_FRAGMENTS = (
    ("movflags", "frag_keyframe+empty_moov+default_base_moof"),
    ("frag_duration", "300000"),
)
FORMATS: tuple[tuple[Format, Dialect | None], ...] = (
    (Format("wav", "wav", "pcm_s16le", 16_000), trees.RIFF),
    (Format("wav-float", "wav", "pcm_f32le", 44_100, 2), trees.RIFF),
    (Format("wav-adpcm", "wav", "adpcm_ms", 22_050), trees.RIFF),
    (Format("aiff", "aiff", "pcm_s16be", 32_000, 2, (("write_id3v2", "1"),)), trees.AIFF),
    (Format("caf", "caf", "pcm_s16be", 16_000), trees.CAF),
    (Format("flac", "flac", "flac", 44_100, 2), trees.FLAC),
    (Format("mp3", "mp3", "libmp3lame", 44_100, 2), trees.MP3),
    (Format("mp3-bare", "mp3", "libmp3lame", 22_050, 1, (("write_xing", "0"),)), trees.MP3),
    (Format("aac", "adts", "aac", 44_100), trees.AAC),
    (Format("amr", "amr", "libopencore_amrnb", 8000), trees.AMR),
    (Format("m4a", "ipod", "aac", 44_100, 2), trees.MP4),
    (Format("mp4-fragments", "mp4", "aac", 44_100, 1, _FRAGMENTS), trees.MP4),
    (Format("m4a-alac", "ipod", "alac", 22_050), trees.MP4),
    (Format("3gp", "3gp", "libopencore_amrnb", 8000), trees.MP4),
    (Format("mov-pcm", "mov", "pcm_s16le", 16_000), trees.MP4),
    (Format("ogg-vorbis", "ogg", VORBIS, 44_100, 2), trees.OGG),
    (Format("ogg-surround", "ogg", VORBIS, 16_000, 8), trees.OGG),
    (Format("ogg-opus", "ogg", "libopus", 48_000), trees.OGG),
    (Format("webm", "webm", "libopus", 48_000), trees.EBML),
    (Format("mkv-flac", "matroska", "flac", 44_100), trees.EBML),
    (Format("mkv-aac", "matroska", "aac", 44_100, 2), trees.EBML),
    (Format("wma", "asf", "wmav2", 44_100), None),
)


@cache
def seeds() -> tuple[Seed, ...]:
    """One of each format, the same ones every time."""
    return tuple(Seed(kind.name, dialect, _file(kind, dialect)) for kind, dialect in FORMATS)


def _file(kind: Format, dialect: Dialect | None) -> bytes:
    same = replace(kind, options=kind.options + _SAME)
    data = encode(sounds(kind.rate, SECONDS)[0], same)
    if dialect is not trees.OGG:
        return data
    # libsndfile draws the stream's number by chance.
    pages = dialect.parse(data)
    for page in pages:
        assert page.kind
        page.kind = page.kind[:14] + b"seed" + page.kind[18:]
    return dialect.write(pages)
