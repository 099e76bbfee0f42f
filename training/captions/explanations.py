"""Explanations by rule out of what is known of two clips and measured in them.

A tier is a few words, a sentence or a paragraph; ``model.explanations`` reads them again, and says
whether what is known of the clips bears them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Literal

from model.explanations import (
    AND,
    CLIPS,
    NOTHING_SHARED,
    ORDER_S,
    PROPERTIES,
    Known,
    Side,
    alike,
    lasting,
    most,
)
from model.measures import Measures
from training.captions.edits import Noun, every
from training.captions.naming import says
from training.captions.ontology import expand

Tier = Literal["words", "sentence", "paragraph"]


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

    def has(self, sound: str) -> bool:
        """Whether one of its sounds is called so, or a case of it is."""
        return any(_names(sound, part.noun) for part in self.sounds)

    def in_order(self, one: str, other: str) -> bool:
        """Whether the one begins before the other, a third of the bound at least."""
        first = [part.start_s for part in self.sounds if _names(_known(one), part.noun)]
        then = [part.start_s for part in self.sounds if _names(_known(other), part.noun)]
        return bool(first and then) and min(first) + ORDER_S / 3 <= max(then)

    def shares(self, other: Known) -> bool:
        """Whether the other has one of its sounds by the same name."""
        assert isinstance(other, Facts)
        return bool(shared(self, other))


def explain(first: Facts, second: Facts, tier: Tier) -> str:
    """What the tier tells of two clips."""
    if tier != "paragraph":
        clauses = [_both(first, second), *_own(first, second)]
        if tier == "sentence":
            clauses += most(first.measures, second.measures, 2)
        return ", ".join(clause for clause in clauses if clause)
    told = [
        *_portrait(first, "first"),
        *_portrait(second, "second"),
        _both(first, second) or NOTHING_SHARED,
        *most(first.measures, second.measures, len(PROPERTIES)),
    ]
    same = alike(first.measures, second.measures)
    return ". ".join([*told, *([same] if same else [])]) + "."


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
    if length := lasting(side, clip.measures):
        yield length
    for one, other in zip(clip.sounds, clip.sounds[1:], strict=False):
        if other.start_s - one.start_s >= ORDER_S and one.noun.text != other.noun.text:
            verb = "are" if one.noun.plural else "is"
            yield f"in the {side} {one.noun.known} {verb} heard before {other.noun.known}"


def _list(sounds: Sequence[Part]) -> str:
    return AND.join(dict.fromkeys(part.noun.text for part in sounds)) or "nothing"


@cache
def _called(text: str) -> tuple[Noun, ...]:
    """The kinds of sound that are called so."""
    return tuple(noun for noun in every() if noun.text == text)


@cache
def _known(text: str) -> str:
    """The text of what one speaks of as of what was heard before."""
    return next((noun.text for noun in every() if noun.known == text), text)


def _names(text: str, heard: Noun) -> bool:
    """Whether to speak of ``text`` is true where ``heard`` is: a vehicle, where it is a car."""
    return any(
        says(called.label, heard.label) or called.label in expand(heard.label)
        for called in _called(text)
    )
