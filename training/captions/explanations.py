"""Explanations of how two clips differ, by rule out of what is measured; and what they state.

A tier is a few words, a sentence or a paragraph. Every explanation is made of clauses, each of
which states something of a clip, or of both; ``read`` finds them again in any text of this form,
and ``Statement.holds`` says whether the measurements bear them out. What is stated is clear by a
margin; a statement holds within a wider one, so that nobody is right or wrong by a hair.

Lower case; "the first" is the input, "the second" the reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Literal

import numpy as np

from model.measures import Measures
from training.captions.edits import Noun, every
from training.captions.naming import says
from training.captions.ontology import expand

Tier = Literal["words", "sentence", "paragraph"]
Side = Literal["first", "second", "both"]
CLIPS: tuple[Side, Side] = ("first", "second")


@dataclass(frozen=True)
class Part:
    """A sound of a clip, and from when to when it is heard."""

    noun: Noun
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Facts:
    """What is known of a clip, and measured in it."""

    sounds: tuple[Part, ...]
    """In the order in which they begin."""
    level_db: float
    centre_octaves: float
    seconds: float
    onsets: float

    @classmethod
    def of(cls, sounds: tuple[Part, ...], measures: Measures) -> Facts:
        """Of a clip with these sounds, in which this is measured."""
        return cls(sounds, **asdict(measures))

    @property
    def measures(self) -> Measures:
        """Without the sounds."""
        return Measures(self.level_db, self.centre_octaves, self.seconds, self.onsets)


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

    def apart(self, first: Facts, second: Facts) -> float:
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
ORDER_S = 1.0
"""Sounds that begin so far apart come one before the other."""
SECONDS_OFF = 0.2
"""A length in words may be so much of it off, or half a second."""
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip

_AND = " and "
_KIN = {each.more: each for each in PROPERTIES} | {each.alike: each for each in PROPERTIES}


@dataclass(frozen=True)
class Statement:
    """What a clause says."""

    kind: Literal["has", "shares nothing", "before", "more", "alike", "lasts"]
    side: Side
    what: tuple[str, ...] = ()
    """A sound; or two, the earlier one first; a property; a number of seconds."""
    much: bool = False

    def holds(self, first: Facts, second: Facts) -> bool:
        """Whether the measurements of both clips bear it out."""
        sides = {"first": (first,), "second": (second,), "both": (first, second)}[self.side]
        if self.kind == "has":
            return all(_has(clip, self.what[0]) for clip in sides)
        if self.kind == "shares nothing":
            return not shared(first, second)
        if self.kind == "before":
            return _in_order(sides[0], *self.what)
        if self.kind == "lasts":
            off = abs(NUMBERS.index(self.what[0]) - sides[0].seconds)
            return off <= max(0.55, SECONDS_OFF * sides[0].seconds)
        known = _KIN[self.what[0]]
        apart = known.apart(first, second)
        if self.kind == "alike":
            return abs(apart) <= 2 * known.equal
        bound = (known.much if self.much else known.clear) / 2
        return (apart if self.side == "first" else -apart) > bound

    @property
    def swapped(self) -> Statement:
        """What is true of the clips if this is and they are swapped."""
        other: dict[Side, Side] = {"first": "second", "second": "first", "both": "both"}
        return Statement(self.kind, other[self.side], self.what, self.much)


# -- what is said -----------------------------------------------------------------------------


def explain(first: Facts, second: Facts, tier: Tier) -> str:
    """What the tier tells of two clips."""
    if tier != "paragraph":
        clauses = [_both(first, second), *_own(first, second)]
        if tier == "sentence":
            clauses += [_compared(side, most) for side, most in _most(first, second, 2)]
        return ", ".join(clause for clause in clauses if clause)
    told = [
        *_portrait(first, "first"),
        *_portrait(second, "second"),
        _both(first, second) or "they have nothing in common",
        *(_compared(side, each) for side, each in _most(first, second, len(PROPERTIES))),
    ]
    alike = _alike(first, second)
    return ". ".join([*told, *([alike] if alike else [])]) + "."


def caption(clip: Facts, side: Side) -> str:
    """What is heard in one of them (position captioning)."""
    return f"the {side} has {_list(clip.sounds)}"


def shared(first: Facts, second: Facts) -> tuple[Part, ...]:
    """The sounds of the first that the second has, too."""
    theirs = {part.noun.text for part in second.sounds}
    return tuple(part for part in first.sounds if part.noun.text in theirs)


def _both(first: Facts, second: Facts) -> str:
    common = shared(first, second)
    return f"both have {_list(common)}" if common else ""


def _own(first: Facts, second: Facts) -> Iterator[str]:
    common = {part.noun.text for part in shared(first, second)}
    for side, clip in zip(CLIPS, (first, second), strict=True):
        rest = [part for part in clip.sounds if part.noun.text not in common]
        if rest:
            yield f"the {side} {'also ' if common else ''}has {_list(rest)}"


def _portrait(clip: Facts, side: Side) -> Iterator[str]:
    yield caption(clip, side)
    if round(clip.seconds) < len(NUMBERS):
        unit = "second" if round(clip.seconds) == 1 else "seconds"
        yield f"the {side} lasts about {NUMBERS[round(clip.seconds)]} {unit}"
    for one, other in zip(clip.sounds, clip.sounds[1:], strict=False):
        if other.start_s - one.start_s >= ORDER_S and one.noun.text != other.noun.text:
            verb = "are" if one.noun.plural else "is"
            yield f"in the {side} {one.noun.known} {verb} heard before {other.noun.known}"


def _most(first: Facts, second: Facts, count: int) -> list[tuple[Side, list[str]]]:
    """The clearest differences, by the clip that there is more of, in the order of properties."""
    apart = {each.more: each.apart(first, second) / each.clear for each in PROPERTIES}
    clear = sorted((more for more in apart if abs(apart[more]) > 1), key=lambda m: -abs(apart[m]))
    told: dict[Side, list[str]] = {}
    for known in PROPERTIES:
        if known.more in clear[:count]:
            much = abs(apart[known.more]) * known.clear > known.much
            side = CLIPS[apart[known.more] < 0]
            told.setdefault(side, []).append(f"{'much ' if much else ''}{known.more}")
    return [(side, told[side]) for side in CLIPS if side in told]


def _compared(side: Side, more: Sequence[str]) -> str:
    return f"the {side} is {_AND.join(more)}"


def _alike(first: Facts, second: Facts) -> str:
    alike = [p.alike for p in PROPERTIES if abs(p.apart(first, second)) <= p.equal]
    return f"both are about as {_AND.join(alike)}" if alike else ""


def _list(sounds: Sequence[Part]) -> str:
    return _AND.join(dict.fromkeys(part.noun.text for part in sounds)) or "nothing"


# -- what is read -----------------------------------------------------------------------------

_HAS = re.compile(r"(?:the (first|second) (?:also )?has|(both) have) (.+)")
_BEFORE = re.compile(r"in the (first|second) (.+) (?:is|are) heard before (.+)")
_LASTS = re.compile(rf"the (first|second) lasts about ({'|'.join(NUMBERS)}) seconds?")
_MORE = re.compile(r"the (first|second) is (.+)")
_ALIKE = re.compile(r"(both) are about as (.+)")


def read(explanation: str) -> list[Statement | None]:
    """What it states, in its order; None for each clause of another form."""
    clauses = re.split(r"[.,]", " ".join(explanation.lower().split()))
    return [one for clause in clauses if clause.strip() for one in _read(clause.strip())]


def _read(clause: str) -> Iterator[Statement | None]:
    if clause == "they have nothing in common":
        yield Statement("shares nothing", "both")
    elif found := _HAS.fullmatch(clause):
        for sound in found[3].split(_AND):
            yield Statement("has", _side(found), (sound,)) if _called(sound) else None
    elif found := _BEFORE.fullmatch(clause):
        known = _known(found[2]), _known(found[3])
        yield Statement("before", _side(found), known) if all(map(_called, known)) else None
    elif found := _LASTS.fullmatch(clause):
        yield Statement("lasts", _side(found), (found[2],))
    elif found := _MORE.fullmatch(clause) or _ALIKE.fullmatch(clause):
        side = _side(found)
        for word in found[2].split(_AND):
            much, bare = word.startswith("much "), word.removeprefix("much ")
            right = bare in _KIN and (bare == _KIN[bare].alike) == (side == "both")
            kind: Literal["more", "alike"] = "alike" if side == "both" else "more"
            yield Statement(kind, side, (bare,), much) if right else None
    else:
        yield None


def _side(found: re.Match[str]) -> Side:
    sides: dict[str | None, Side] = {"first": "first", "second": "second"}
    return sides.get(found[1], "both")


@cache
def _called(text: str) -> tuple[Noun, ...]:
    """The kinds of sound that are called so."""
    return tuple(noun for noun in every() if noun.text == text)


@cache
def _known(text: str) -> str:
    """The text of what one speaks of as of what was heard before."""
    return next((noun.text for noun in every() if noun.known == text), text)


def _has(clip: Facts, text: str) -> bool:
    return any(_names(text, part.noun) for part in clip.sounds)


def _names(text: str, heard: Noun) -> bool:
    """Whether to speak of ``text`` is true where ``heard`` is: a vehicle, where it is a car."""
    return any(
        says(called.label, heard.label) or called.label in expand(heard.label)
        for called in _called(text)
    )


def _in_order(clip: Facts, one: str, other: str) -> bool:
    """Whether the one begins before the other, a third of the bound at least."""
    first = [part.start_s for part in clip.sounds if _names(one, part.noun)]
    then = [part.start_s for part in clip.sounds if _names(other, part.noun)]
    return bool(first and then) and min(first) + ORDER_S / 3 <= max(then)
