"""What a request is answered with, and its JSON: the same from the service and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.types import Description, SourceInfo


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

    def to_json(self) -> dict[str, Any]:
        """As the HTTP API has it, without what tells of the HTTP request (id, timing)."""
        best, *reverse = map(_described, self.descriptions)
        return {
            **best,
            **{
                "audio" if field == "file" else field: asdict(source)
                for field, source in self.sources.items()
            },
            "model": {"name": self.model, "revision": self.revision},
            **({"reverse": reverse[0]} if reverse else {}),
        }


def _described(description: Description) -> dict[str, Any]:
    """The best caption, its alternatives, the sounds, and the timeline of a difference."""
    first, *others = ({"caption": one.text, "score": one.score} for one in description.captions)
    timeline, both = description.timeline, description.shared
    return {
        **first,
        "alternatives": others,
        "sounds": [asdict(sound) for sound in description.sounds],
        **({} if timeline is None else {"timeline": [asdict(segment) for segment in timeline]}),
        **({} if both is None else {"shared": [asdict(sound) for sound in both]}),
    }
