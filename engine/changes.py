"""From a sentence about changes to what it says: operation, sound, and how sure that is.

Shapes: T frames, K kinds of sound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from model.changes import ALL, Kind, read
from model.events import SILENCE
from model.types import Change, Operation

OPERATIONS: dict[Kind, Operation] = {
    "added": "add",
    "removed": "remove",
    "louder": "louder",
    "quieter": "quieter",
    "different": "change",
    "earlier": "earlier",
    "later": "later",
}
TOLD, HEARD, MIDDLE = 7.8, 0.505, 1.67
"""Of a logistic regression: whether a sentence of one change is right in kind and sound, on 687 of
them about recordings that nobody trained on (docs/changes.md)."""
FAINT = 0.01
LOUDEST = 3
"""Frames by which it is told whether a sound is heard."""

Heard = Callable[[Kind, str], float]
"""The probability that a sound is heard in the clip where a change of that kind has it."""


def changes(sentence: str, score: float, heard: Heard) -> tuple[Change, ...]:
    """What ``sentence`` says, and how likely each change is one, by what is told and heard.

    ``score`` is the mean log-probability of its tokens.
    """
    return tuple(
        Change(OPERATIONS[told.kind], told.sound, confidence(score, heard(told.kind, told.sound)))
        for told in read(" ".join(sentence.split()))
    )


def confidence(score: float, heard: float) -> float:
    """In (0, 1)."""
    logit = TOLD * min(score, 0.0) + HEARD * math.log(heard + FAINT) + MIDDLE
    return round(1 / (1 + math.exp(-logit)), 4)


def likely(events: Tensor, labels: Sequence[str]) -> dict[str, float]:
    """The events [T, K] of a clip, each averaged over the few frames where it is likeliest."""
    found = events.topk(min(LOUDEST, len(events)), dim=0).values.mean(dim=0).tolist()
    return {label: value for label, value in zip(labels, found, strict=True) if label != SILENCE}


def evidence(
    after: Mapping[str, float],
    before: Mapping[str, float],
    nouns: Mapping[str, Sequence[str]],
) -> Heard:
    """By what is ``likely`` in either clip, and which events each sound is called by."""

    def heard(kind: Kind, sound: str) -> float:
        has = {"added": [after], "removed": [before]}.get(kind, [after, before])
        called = [*after, *before] if sound == ALL else nouns.get(sound, ())
        return max((clip.get(label, 0.0) for clip in has for label in called), default=0.0)

    return heard
