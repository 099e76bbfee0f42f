"""Entries as WebVTT and SubRip, in the manner of captions for deaf people: ``[dog barking]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Times = Mapping[str, Any]
"""An entry, as the HTTP API has it."""

_NOT_SAID = re.compile(r"\b(?:an?|the|is|are)\s+", re.IGNORECASE)
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def vtt(entries: Iterable[Times], notes: Iterable[str] = (), *, sentence_case: bool = False) -> str:
    """A WebVTT file; ``notes`` are comments, which players pass over."""
    blocks = ["WEBVTT"]
    blocks += [f"NOTE {_escaped(note)}" for note in notes]
    blocks += [
        f"{_clock(entry['start_s'], '.')} --> {_clock(entry['end_s'], '.')}\n"
        f"{_escaped(cue(entry['caption'], sentence_case=sentence_case))}"
        for entry in entries
    ]
    return "\n\n".join(blocks) + "\n"


def srt(entries: Iterable[Times], *, sentence_case: bool = False) -> str:
    """A SubRip file."""
    return "\n".join(
        f"{number}\n{_clock(entry['start_s'], ',')} --> {_clock(entry['end_s'], ',')}\n"
        f"{cue(entry['caption'], sentence_case=sentence_case)}\n"
        for number, entry in enumerate(entries, 1)
    )


def cue(caption: str, *, sentence_case: bool) -> str:
    """``a dog is barking`` -> ``[dog barking]``, or ``[Dog barking]``."""
    said = _NOT_SAID.sub("", " ".join(caption.split())).rstrip(".") or caption
    return f"[{said[:1].upper()}{said[1:]}]" if sentence_case else f"[{said}]"


def _escaped(text: str) -> str:
    return "".join(_MARKUP.get(letter, letter) for letter in text)


def _clock(seconds: float, point: str) -> str:
    """Hours:minutes:seconds and milliseconds."""
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
