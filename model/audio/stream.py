"""What of a file its decoder is to see, and what the file lacks."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import CorruptAudio

BREAKS_OFF = "The file breaks off: what may have followed is not heard."
"""The note on a file that does not say how long it should be, and ends in the middle."""


@dataclass(frozen=True)
class Stream:
    """The sound of a file, rid of everything that its decoder need not see."""

    parts: tuple[bytes, ...]
    """Each is a whole file for the decoder, and they are heard one after the other."""
    demuxer: str | None = None
    """FFmpeg's name for the kind of the parts; None if libsndfile reads them."""
    missing: float = 0.0
    """In [0, 1]: the share of the sound that the file promises and does not hold."""
    notes: tuple[str, ...] = ()
    """What else whoever sent it should know, a sentence each."""


def cut_short(what: str = "its headers") -> CorruptAudio:
    """The error of a file that ends before any sound, or before what is needed to play it."""
    return CorruptAudio(
        f"The file is cut short or damaged in {what}: nothing of it can be heard. "
        "Send the whole file again."
    )


def share(missing: float, present: float) -> float:
    """How much of a whole is missing; 0 of an empty one."""
    return missing / (missing + present) if missing > 0 else 0.0
