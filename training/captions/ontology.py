"""AudioSet's 527 labels, a few kinds that it lacks, and which label is a case of which.

``audioset.json`` holds them. A label may have several parents: an ambulance's siren is a siren and
belongs to an emergency vehicle, but a hiss is a cat's, a snake's or of steam. Where the parents are
such alternatives, or where the label is heard of other things than its only parent too (engines
roar like lions), a label has only those ancestors for certain that all ways up have in common.
"""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

_DATA = json.loads(Path(__file__).with_name("audioset.json").read_text(encoding="utf-8"))
_PARENTS: dict[str, tuple[str, ...]] = {
    label: tuple(parents) for label, parents in (_DATA["labels"] | _DATA["extra"]).items()
}
_EITHER = frozenset(_DATA["either"])

AUDIOSET: tuple[str, ...] = tuple(_DATA["labels"])
"""The 527 display names, in the order of AudioSet's class indices."""

EXTRA: tuple[str, ...] = tuple(_DATA["extra"])
"""Kinds of our own: AudioSet has them not at all, or not among the 527."""

LABELS: tuple[str, ...] = AUDIOSET + EXTRA

EVENTS: tuple[str, ...] = (*AUDIOSET, *(label for label in EXTRA if label in _DATA["recorded"]))
"""What a model is taught to hear: AudioSet's 527, and what ESC-50 has recordings of beside them."""


def parents(label: str) -> tuple[str, ...]:
    """The nearest ancestors of ``label`` among the 527, alternatives included.

    Raises:
        ValueError: if there is no such label.
    """
    return tuple(parent for parent in _parents(label) if parent)


@cache
def children(label: str) -> tuple[str, ...]:
    """The labels that have ``label`` among their ``parents``, in order.

    Raises:
        ValueError: if there is no such label.
    """
    _parents(label)
    return tuple(child for child, above in _PARENTS.items() if label in above)


@cache
def expand(label: str) -> tuple[str, ...]:
    """The labels among the 527 that hold for certain where ``label`` does, nearest first.

    Raises:
        ValueError: if there is no such label.
    """
    lines = [(parent, *expand(parent)) if parent else () for parent in _parents(label)]
    if label in _EITHER:
        # A single parent is an alternative to things that AudioSet does not link.
        common = set(lines[0]).intersection(*lines[1:]) if len(lines) > 1 else set()
        lines = [tuple(above for above in lines[0] if above in common)]
    levels = itertools.zip_longest(*lines)
    return tuple(dict.fromkeys(above for level in levels for above in level if above))


def _parents(label: str) -> tuple[str, ...]:
    if label not in _PARENTS:
        raise ValueError(f"unknown label {label!r}: see training/captions/audioset.json")
    return _PARENTS[label]
