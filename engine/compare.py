"""Two timelines: what is heard in one recording and at no time in the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.entries import AUDIBLE
from engine.long import Entry, Whole


@dataclass(frozen=True)
class Timeline:
    """All of a recording."""

    entries: Sequence[Entry]
    whole: Whole


@dataclass(frozen=True)
class Comparison:
    """Two recordings, by their field of the HTTP API: input and reference."""

    timelines: Mapping[str, Timeline]

    def to_json(self) -> dict[str, Any]:
        """As the HTTP API has it, without what tells of the model and of the HTTP request."""
        (first, one), (second, other) = self.timelines.items()
        wholes = {field: each.whole.to_json() for field, each in self.timelines.items()}
        return {
            **{field: whole["audio"] for field, whole in wholes.items()},
            "timelines": {
                field: {
                    "entries": [entry.to_json() for entry in each.entries],
                    "summary": each.whole.summary,
                }
                for field, each in self.timelines.items()
            },
            "only": {
                first: [entry.to_json() for entry in new(one.entries, other.entries)],
                second: [entry.to_json() for entry in new(other.entries, one.entries)],
            },
        }


def new(entries: Iterable[Entry], others: Iterable[Entry]) -> list[Entry]:
    """The entries that have sounds which no time of the other recording has, and of them these.

    A sound is there if it is at least half as likely, as one lasts in a clip.
    """
    known: dict[str, float] = {}
    for sound in (sound for other in others for sound in other.sounds):
        known[sound.label] = max(known.get(sound.label, 0.0), sound.score)
    found = []
    for entry in entries:
        sounds = tuple(one for one in entry.sounds if known.get(one.label, 0.0) < one.score / 2)
        if sounds and sounds[0].score >= AUDIBLE:
            found.append(replace(entry, sounds=sounds))
    return found
