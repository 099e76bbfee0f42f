"""From a sentence about changes to what it says: operation, sound, and how sure the model is."""

from __future__ import annotations

import math

from model.changes import Kind, read
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


def changes(sentence: str, score: float) -> tuple[Change, ...]:
    """What ``sentence`` says, each as sure as it is: the geometric mean of its tokens' chances.

    ``score`` is their mean log-probability.
    """
    confidence = round(math.exp(min(score, 0.0)), 4)
    return tuple(
        Change(OPERATIONS[told.kind], told.sound, confidence)
        for told in read(" ".join(sentence.split()))
    )
