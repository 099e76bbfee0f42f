"""What a request is answered with, and its JSON: the same from the service and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.types import Change, Description, Sound, SourceInfo


@dataclass(frozen=True)
class Answer:
    """The descriptions of a request's clips, and how they came about."""

    sources: Mapping[str, SourceInfo]
    """What the files were, by their field of the HTTP API: file, or input and reference."""
    descriptions: Sequence[Description]
    """One direction, or two."""
    model: str
    revision: str
    stages: Mapping[str, float]
    """Stage -> seconds: decode, queue, encode, generate."""
    batch_size: int
    """Clips in the batch."""

    def to_json(self, *, events: bool) -> dict[str, Any]:
        """As the HTTP API has it, without what tells of the HTTP request (id, timing).

        With ``events``, each sound says when it is heard.
        """
        best, *reverse = (_described(one, events) for one in self.descriptions)
        both = self.descriptions[0].shared
        return {
            **best,
            **({} if both is None else {"shared": [_sound(sound, events) for sound in both]}),
            **{
                "audio" if field == "file" else field: _source(source)
                for field, source in self.sources.items()
            },
            "model": {"name": self.model, "revision": self.revision},
            **({"reverse": reverse[0]} if reverse else {}),
        }


def _source(source: SourceInfo) -> dict[str, Any]:
    return asdict(source) | {"warnings": [*source.warnings]}


def _described(description: Description, events: bool) -> dict[str, Any]:
    """The best caption, its alternatives, the sounds, and the timeline of a difference."""
    first, *others = (
        {"caption": one.text, "score": one.score, "truncated": one.truncated}
        for one in description.captions
    )
    timeline = description.timeline
    return {
        **first,
        "alternatives": others,
        "sounds": [_sound(sound, events) for sound in description.sounds],
        **({} if description.changes is None else {"changes": _changes(description.changes)}),
        **({} if timeline is None else {"timeline": [asdict(segment) for segment in timeline]}),
    }


def _changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [asdict(change) for change in changes]


def _sound(sound: Sound, events: bool) -> dict[str, Any]:
    when = {"events": [asdict(interval) for interval in sound.events]} if events else {}
    return {"label": sound.label, "score": sound.score, **when}
