"""Explanations are held against what is heard and measured, put right, or left unsaid.

Shapes: T frames, K kinds of sound.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from engine.changes import likely
from engine.reading import Reader
from model.explanations import (
    ORDER_S,
    Clause,
    Known,
    Side,
    Statement,
    alike,
    clauses,
    most,
    put_right,
)
from model.explanations import clause as read_clause
from model.measures import COUNT, Measures
from model.types import Encoded

HEARD = 0.05
"""How likely a kind must be, where it is likeliest, to count as heard."""
UNSURE = "nothing can be said for sure"
_ARTICLE = re.compile(r"^(?:an?|the) ")


class Heard:
    """A clip as the event head hears it, and what is measured of it."""

    def __init__(
        self,
        events: Tensor,
        measures: Measures,
        labels: Sequence[str],
        nouns: Mapping[str, Sequence[str]],
        frame_s: float,
    ) -> None:
        """``events`` [T, K] of ``labels``; ``nouns``: which of them each sound is called by."""
        self.measures = measures
        self._likely = likely(events, labels)
        self._events = events
        self._places = {label: place for place, label in enumerate(labels)}
        self._nouns = nouns
        self._frame_s = frame_s

    def has(self, sound: str) -> bool:
        """Whether one of the kinds that are called so is heard."""
        return any(self._likely.get(label, 0.0) >= HEARD for label in self._called(sound))

    def in_order(self, one: str, other: str) -> bool:
        """Whether the one is heard before the other."""
        first, then = (self._starts(sound) for sound in (one, other))
        return bool(first and then) and min(first) + ORDER_S / 3 <= min(then)

    def shares(self, other: Known) -> bool:
        """Not told here: what an explanation says of both clips is held against itself."""
        raise NotImplementedError

    def _called(self, sound: str) -> Sequence[str]:
        return self._nouns.get(_ARTICLE.sub("", sound), ())

    def _starts(self, sound: str) -> list[float]:
        """When the kinds that are called so are first half as likely as ever, in seconds."""
        heard = [label for label in self._called(sound) if self._likely.get(label, 0.0) >= HEARD]
        lines = [self._events[:, self._places[label]] for label in heard]
        return [int((line >= line.max() / 2).int().argmax()) * self._frame_s for line in lines]


@dataclass
class _Said:
    """What an explanation has said so far."""

    statements: set[Statement] = field(default_factory=set)
    sounds: dict[Side, set[str]] = field(
        default_factory=lambda: {"first": set(), "second": set(), "both": set()}
    )


def measured(clip: Encoded) -> Measures:
    """What its levels say of the whole clip."""
    assert clip.levels is not None
    return Measures.of(clip.levels[0, 0, -COUNT:].tolist())


def reading(reader: Reader | None, known: tuple[Known, Known] | None) -> Reader | None:
    """Reads what is so of what is made, clause by clause."""
    if reader is None or known is None:
        return reader
    return lambda text: reader(checked(text, *known, ended=False))


def checked(explanation: str, first: Known, second: Known, *, ended: bool = True) -> str:
    """What of it is so, and is not said twice; of one that has not ``ended``, whole clauses alone.

    Of what is measured that which is so is said instead; and by rule, where else nothing is left.
    """
    said = _Said()

    def holds(statement: Statement) -> bool:
        if statement in said.statements:
            return False
        if statement.kind == "shares nothing":
            one, other = said.sounds["first"], said.sounds["second"]
            return bool(one and other) and not (said.sounds["both"] or one & other)
        if not statement.holds(first, second):
            return False
        said.statements.add(statement)
        if statement.kind == "has":
            said.sounds[statement.side].add(statement.what[0])
        return True

    def right(statement: Statement) -> Clause | None:
        return put_right(statement, first.measures, second.measures)

    whole = clauses(explanation, ended=ended)
    kept = [left for text in whole for left in read_clause(text).only(holds, right)]
    if not kept and ended:
        return _measured(first.measures, second.measures)
    return _joined(kept, paragraph="." in explanation, ended=ended)


def _joined(kept: Sequence[Clause], *, paragraph: bool, ended: bool) -> str:
    texts = [clause.text for clause in kept]
    return ". ".join(texts) + "." * ended if paragraph else ", ".join(texts)


def _measured(first: Measures, second: Measures) -> str:
    same = alike(first, second)
    return ", ".join([*most(first, second, 2), *([same] if same else [])]) or UNSURE
