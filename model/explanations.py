"""Explanations of how two clips differ, clause by clause: what each states, and whether it is so.

Every explanation is made of clauses, each of which states something of a clip or of both; whoever
knows the clips says whether it holds. What is stated is clear by a margin; a statement holds within
a wider one, so that nobody is right or wrong by a hair. Lower case; "the first" is the input, "the
second" the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from model.measures import Measures

Side = Literal["first", "second", "both"]
CLIPS: tuple[Side, Side] = ("first", "second")
AND = " and "
ORDER_S = 1.0
"""Sounds that begin so far apart come one before the other; a third of it bears that out."""
SECONDS_OFF = 0.2
"""A length in words may be so much of it off, or half a second."""
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip


@dataclass(frozen=True)
class Property:
    """What can be compared: the clip of which there is more is called ``more``."""

    more: str
    alike: str
    measure: Literal["level_db", "centre_octaves", "seconds", "onsets"]
    equal: float
    """No further apart they are called alike, and twice as far apart they may be."""
    clear: float
    """Further apart they are compared, and half as far apart they may be."""
    much: float
    """Likewise of "much"."""

    def apart(self, first: Measures, second: Measures) -> float:
        """How much more of it the first has, on the scale of the three bounds."""
        ours, theirs = getattr(first, self.measure), getattr(second, self.measure)
        return float(np.log2(ours / theirs) if self.measure == "seconds" else ours - theirs)


PROPERTIES = (
    Property("louder", "loud", "level_db", 1.5, 4.0, 12.0),
    Property("brighter", "bright", "centre_octaves", 0.2, 0.6, 2.0),
    Property("longer", "long", "seconds", 0.1, 0.3, 1.0),
    Property("busier", "busy", "onsets", 0.15, 1.0, 2.5),
)
"""Brighter: higher in the middle of its spectrum. Busier: more sounds set in per second."""
_KIN = {each.more: each for each in PROPERTIES} | {each.alike: each for each in PROPERTIES}


class Known(Protocol):
    """A clip, as far as somebody knows what is in it."""

    @property
    def measures(self) -> Measures:
        """What is measured of it as a whole."""

    def has(self, sound: str) -> bool:
        """Whether it holds what is called so."""

    def in_order(self, one: str, other: str) -> bool:
        """Whether the one begins before the other."""

    def shares(self, other: Known) -> bool:
        """Whether it has a sound that the other has, too."""


@dataclass(frozen=True)
class Statement:
    """What is said of a clip, or of both."""

    kind: Literal["has", "shares nothing", "before", "more", "alike", "lasts"]
    side: Side
    what: tuple[str, ...] = ()
    """A sound; or two, the earlier one first; a property; a number of seconds."""
    much: bool = False

    def holds(self, first: Known, second: Known) -> bool:
        """Whether what is known of the clips bears it out."""
        sides = {"first": (first,), "second": (second,), "both": (first, second)}[self.side]
        if self.kind == "has":
            return all(clip.has(self.what[0]) for clip in sides)
        if self.kind == "shares nothing":
            return not first.shares(second)
        if self.kind == "before":
            return sides[0].in_order(*self.what)
        if self.kind == "lasts":
            seconds = sides[0].measures.seconds
            return abs(NUMBERS.index(self.what[0]) - seconds) <= max(0.55, SECONDS_OFF * seconds)
        known = _KIN[self.what[0]]
        apart = known.apart(first.measures, second.measures)
        if self.kind == "alike":
            return abs(apart) <= 2 * known.equal
        bound = (known.much if self.much else known.clear) / 2
        return (apart if self.side == "first" else -apart) > bound

    @property
    def swapped(self) -> Statement:
        """What is true of the clips if this is and they are swapped."""
        other: dict[Side, Side] = {"first": "second", "second": "first", "both": "both"}
        return replace(self, side=other[self.side])


@dataclass(frozen=True)
class Item:
    """One of the things that a clause states of its clip; None: nothing that can be read."""

    text: str
    statement: Statement | None


@dataclass(frozen=True)
class Clause:
    """Some words, and what they say of a clip, joined by "and"."""

    head: str
    items: tuple[Item, ...]

    @property
    def text(self) -> str:
        """In words again."""
        return " ".join([self.head, AND.join(item.text for item in self.items)]).strip()

    def only(
        self, holds: Callable[[Statement], bool], right: Callable[[Statement], Clause | None]
    ) -> list[Clause]:
        """Of it what ``holds``; of the rest what ``right`` says instead, a clause each.

        Of "much louder" the louder stays if no more does.
        """
        told = [item.statement and _kept(item, item.statement, holds) for item in self.items]
        kept = tuple(item for item in told if item)
        instead = [
            other
            for item, own in zip(self.items, told, strict=True)
            if item.statement and not own and (other := right(item.statement))
            if all(each.statement and holds(each.statement) for each in other.items)
        ]
        return [Clause(self.head, kept), *instead] if kept else instead


def _kept(item: Item, statement: Statement, holds: Callable[[Statement], bool]) -> Item | None:
    if holds(statement):
        return item
    weaker = replace(statement, much=False)
    if statement.much and holds(weaker):
        return Item(item.text.removeprefix("much "), weaker)
    return None


_HAS = re.compile(r"((?:the (first|second) (?:also )?has)|(both) have) (.+)")
_BEFORE = re.compile(r"(in the (first|second)) (.+) (?:is|are) heard before (.+)")
_LASTS = re.compile(rf"(the (first|second) lasts about) (({'|'.join(NUMBERS)}) seconds?)")
_MORE = re.compile(r"(the (first|second) is) (.+)")
_ALIKE = re.compile(r"((both) are about as) (.+)")
NOTHING_SHARED = "they have nothing in common"


def clauses(explanation: str, *, ended: bool = True) -> list[str]:
    """Its clauses, in its order and in small letters; where it has not ``ended``, whole ones."""
    pieces = re.split(r"[.,]", " ".join(explanation.lower().split()))
    whole = pieces if ended else pieces[:-1]
    return [piece.strip() for piece in whole if piece.strip()]


def read(explanation: str) -> list[Statement | None]:
    """What it states, in its order; None for each clause, or part of one, of another form."""
    return [item.statement for text in clauses(explanation) for item in clause(text).items]


def clause(text: str) -> Clause:
    """What it says; of another form it has no head, and one item that cannot be read."""
    if text == NOTHING_SHARED:
        return Clause("", (Item(text, Statement("shares nothing", "both")),))
    if found := _HAS.fullmatch(text):
        side = _side(found[2])
        sounds = found[4].split(AND)
        return Clause(found[1], tuple(Item(s, Statement("has", side, (s,))) for s in sounds))
    if found := _BEFORE.fullmatch(text):
        said = text.removeprefix(f"{found[1]} ")
        known = Statement("before", _side(found[2]), (found[3], found[4]))
        return Clause(found[1], (Item(said, known),))
    if found := _LASTS.fullmatch(text):
        return Clause(found[1], (Item(found[3], Statement("lasts", _side(found[2]), (found[4],))),))
    if found := _MORE.fullmatch(text) or _ALIKE.fullmatch(text):
        return Clause(found[1], tuple(_compared(_side(found[2]), found[3].split(AND))))
    return Clause("", (Item(text, None),))


def _compared(side: Side, words: list[str]) -> Iterator[Item]:
    kind: Literal["alike", "more"] = "alike" if side == "both" else "more"
    for word in words:
        much, bare = word.startswith("much "), word.removeprefix("much ")
        right = (
            bare in _KIN and (bare == getattr(_KIN[bare], kind)) and not (much and side == "both")
        )
        yield Item(word, Statement(kind, side, (bare,), much) if right else None)


def _side(found: str | None) -> Side:
    sides: dict[str | None, Side] = {"first": "first", "second": "second"}
    return sides.get(found, "both")


# -- what is measured, by rule ----------------------------------------------------------------


def most(
    first: Measures, second: Measures, count: int, of: Sequence[Property] = PROPERTIES
) -> list[str]:
    """Clauses of the clearest differences, so many at most, in the order of ``PROPERTIES``."""
    apart = {each.more: each.apart(first, second) / each.clear for each in of}
    clear = sorted((more for more in apart if abs(apart[more]) > 1), key=lambda m: -abs(apart[m]))
    told: dict[Side, list[str]] = {}
    for known in of:
        if known.more in clear[:count]:
            much = abs(apart[known.more]) * known.clear > known.much
            side = CLIPS[apart[known.more] < 0]
            told.setdefault(side, []).append(f"{'much ' if much else ''}{known.more}")
    return [f"the {side} is {AND.join(told[side])}" for side in CLIPS if side in told]


def alike(first: Measures, second: Measures, of: Sequence[Property] = PROPERTIES) -> str:
    """A clause of the properties in which they do not differ; empty if there are none."""
    same = [each.alike for each in of if abs(each.apart(first, second)) <= each.equal]
    return f"both are about as {AND.join(same)}" if same else ""


def lasting(side: Side, clip: Measures) -> str:
    """A clause of how long it lasts; empty if there is no word for it."""
    seconds = round(clip.seconds)
    if seconds >= len(NUMBERS):
        return ""
    return f"the {side} lasts about {NUMBERS[seconds]} second{'' if seconds == 1 else 's'}"


def put_right(said: Statement, first: Measures, second: Measures) -> Clause | None:
    """What is so instead, if it is of what is measured, and if it is clear."""
    if said.kind == "lasts":
        text = lasting(said.side, first if said.side == "first" else second)
    elif said.kind in ("more", "alike"):
        known = (_KIN[said.what[0]],)
        text = "".join(most(first, second, 1, known)) or alike(first, second, known)
    else:
        return None
    return clause(text) if text else None
