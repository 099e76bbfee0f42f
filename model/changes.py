"""Sentences about how a clip differs from its reference, and what they say: kind and sound.

A sentence is of one or more clauses, joined by "and": statements ("the rain is louder") or
imperatives ("make the rain louder"). Lower case, without punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["added", "removed", "louder", "quieter", "different", "earlier", "later"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which a sentence tells of them."""
NOTHING = {"statement": "nothing has changed", "imperative": "change nothing"}
ALL = "everything"
"""What changes where all that is heard does."""
OPPOSITES: dict[Kind, Kind] = {
    "added": "removed",
    "removed": "added",
    "louder": "quieter",
    "quieter": "louder",
    "different": "different",
    "earlier": "later",
    "later": "earlier",
}
"""What is said of a change with the clips swapped."""

_ORDERS = {
    "add {}": "added",
    "remove {}": "removed",
    "make {} louder": "louder",
    "make {} quieter": "quieter",
    "change {}": "different",
    "move {} earlier": "earlier",
    "move {} later": "later",
}
_STATEMENT = re.compile(rf"(.+) (?:is|are) ({'|'.join(KINDS)})")
_IMPERATIVES = [(re.compile(order.format("(.+)")), kind) for order, kind in _ORDERS.items()]
_ARTICLE = re.compile(r"^(?:an?|the) ")


@dataclass(frozen=True)
class Change:
    """One change."""

    kind: Kind
    sound: str
    """What the sentence calls it, without its article."""


def read(sentence: str) -> tuple[Change, ...]:
    """What ``sentence`` says has changed.

    Of a clause of another form no more is known than that it speaks of something different.
    """
    if sentence in ("", *NOTHING.values()):
        return ()
    return tuple(_clause(clause) for clause in sentence.split(" and "))


def _clause(clause: str) -> Change:
    if stated := _STATEMENT.fullmatch(clause):
        kind = next(kind for kind in KINDS if kind == stated[2])
        return Change(kind, _ARTICLE.sub("", stated[1]))
    for pattern, ordered in _IMPERATIVES:
        if found := pattern.fullmatch(clause):
            kind = next(kind for kind in KINDS if kind == ordered)
            return Change(kind, _ARTICLE.sub("", found[1]))
    return Change("different", clause)


def state(changes: Sequence[tuple[Kind, str, bool]]) -> str:
    """The statement of changes: each its kind, the sound with its article, whether plural."""
    clauses = [f"{sound} {'are' if plural else 'is'} {kind}" for kind, sound, plural in changes]
    return " and ".join(clauses) or NOTHING["statement"]


def order(changes: Sequence[tuple[Kind, str, bool]]) -> str:
    """The imperative of them."""
    orders = {kind: text for text, kind in _ORDERS.items()}
    return (
        " and ".join(orders[kind].format(sound) for kind, sound, _ in changes)
        or (NOTHING["imperative"])
    )
