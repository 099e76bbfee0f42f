"""Reference captions in English for scenes whose events are known.

Clauses (``phrases.json``) say what sounds; templates say when. A template is used only where it is
true of the events: simultaneous events meet in "while", "as", "and"; the others keep their order.
Captions are lower case, without punctuation.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Event:
    """One sound of a scene. Raises ValueError unless it ends after it starts."""

    kind: str
    """One of ESC-50's categories."""
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        """Refuse an event without duration."""
        if not self.end_s > self.start_s:
            raise ValueError(f"an event must end after it starts: {self}")


class Clause(NamedTuple):
    """One way to say that something sounds, in the forms that the templates ask for."""

    p: str
    """Present: "a dog barks"."""
    g: str
    """Progressive: "a dog is barking"."""
    n: str
    """Noun phrase: "a dog barking"."""


# In every template the fields stand for the events in the order of the name:
# A is before B is before C; X, Y and Z are simultaneous; M goes on during A and B.
_A = (
    "{0.p}",
    "{0.g}",
    "{0.n} can be heard",
    "the sound of {0.n}",
    "there is the sound of {0.n}",
    "the sound of {0.n} can be heard",
)
_A_BRIEF = ("{0.p} briefly", "{0.n} can be heard briefly", "the sound of {0.n} is briefly heard")
_A_B = (
    "{0.p} followed by {1.n}",
    "the sound of {0.n} followed by {1.n}",
    "{0.p} then {1.p}",
    "{0.p} and then {1.p}",
    "{0.p} before {1.p}",
    "{0.p} after which {1.p}",
    "first {0.p} and then {1.p}",
    "{1.p} after {0.p}",
)
_X_Y = (
    "{0.g} while {1.g}",
    "{0.p} while {1.g}",
    "{0.p} as {1.p}",
    "{0.p} and {1.p}",
    "{0.p} and {1.p} at the same time",
    "the sound of {0.n} and {1.n} together",
)
_A_B_C = (
    "{0.p} followed by {1.n} and then {2.n}",
    "the sound of {0.n} followed by {1.n} and then {2.n}",
    "{0.p} then {1.p} and then {2.p}",
    "first {0.p} then {1.p} and then {2.p}",
    "{0.p} before {1.p} and then {2.p}",
)
_XY_C = (
    "first {0.p} while {1.g} and then {2.p}",
    "{0.p} and {1.p} at the same time and then {2.p}",
    "the sound of {0.n} and {1.n} together followed by {2.n}",
    "{2.p} after {0.p} and {1.p} at the same time",
)
_A_XY = (
    "first {0.p} and then {1.p} and {2.p} at the same time",
    "{0.p} followed by {1.n} and {2.n} together",
    "{0.p} before {1.p} and {2.p} at the same time",
)
_M_AB = (
    "while {0.g} {1.p} and then {2.p}",
    "{1.p} and then {2.p} all while {0.g}",
    "{1.p} followed by {2.n} all while {0.g}",
)
_X_Y_Z = (
    "{0.p} and {1.p} while {2.g}",
    "{0.p} while {1.g} and {2.g}",
    "{0.p} and {1.p} and {2.p} at the same time",
    "the sound of {0.n} and {1.n} and {2.n} together",
)


@cache
def _phrases() -> dict[str, list[str]]:
    text = Path(__file__).with_name("phrases.json").read_text(encoding="utf-8")
    phrases: dict[str, list[str]] = json.loads(text)
    return phrases


@cache
def clauses(kind: str) -> tuple[Clause, ...]:
    """The clauses that name ``kind``. Raises KeyError for an unknown kind."""
    return tuple(map(_inflect, _phrases()[kind]))


def _inflect(phrase: str) -> Clause:
    """ "a dog [barks|is barking] out loud" -> its three forms."""
    subject, present, progressive, rest = re.split(r" \[|\||\]", phrase)
    participle = progressive.split(" ", 1)[1]  # without "is" or "are"
    return Clause(*(f"{subject} {verb}{rest}" for verb in (present, progressive, participle)))


def simultaneous(a: Event, b: Event) -> bool:
    """Whether the events share more than half of the shorter one."""
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return shared > min(a.end_s - a.start_s, b.end_s - b.start_s) / 2


def captions(events: Sequence[Event], rng: np.random.Generator, count: int = 5) -> list[str]:
    """``count`` different captions, each true of the one to three ``events`` (in any order).

    Raises ValueError for another number of events or for more captions than there are, KeyError
    for an unknown kind.
    """
    layouts = _layouts(sorted(events, key=lambda event: event.start_s))
    shape = (len(layouts), *(len(clauses(event.kind)) for event in events))
    found: dict[str, None] = {}
    for choice in rng.permutation(math.prod(shape)):
        if len(found) == count:
            break
        layout, *wordings = np.unravel_index(choice, shape)
        template, order = layouts[layout]
        said = {e: clauses(e.kind)[w] for e, w in zip(events, wordings, strict=True)}
        found[template.format(*(said[event] for event in order))] = None
    if len(found) < count:
        raise ValueError(f"there are only {len(found)} captions for {events}, not {count}")
    return list(found)


def _layouts(events: Sequence[Event]) -> list[tuple[str, tuple[Event, ...]]]:
    """The true templates, each with the events in the order of its fields; ``events`` by start."""
    pairs = [pair for pair in combinations(events, 2) if simultaneous(*pair)]
    match len(events), len(pairs):
        case 1, _:
            brief = _A_BRIEF if events[0].end_s - events[0].start_s < 1 else ()
            return _fill((*_A, *brief), events)
        case (2, 0):
            return _fill(_A_B, events)
        case (3, 0):
            return _fill(_A_B_C, events)
        case (2, 1):
            return _fill(_X_Y, (), events)
        case (3, 3):
            return _fill(_X_Y_Z, (), events)
        case (3, 1):
            # The simultaneous two are neighbours: what parts neighbours parts the outer two.
            first, last = events[0], events[2]
            if first in pairs[0]:
                return [(t, (*xy, last)) for t, xy in _fill(_XY_C, (), pairs[0])]
            return _fill(_A_XY, [first], pairs[0])
        case (3, 2):
            (middle,) = set(pairs[0]) & set(pairs[1])
            ordered = [event for event in events if event != middle]
            return _fill(_M_AB, [middle, *ordered])
    raise ValueError(f"captions are for one to three events, got {len(events)}")


def _fill(
    templates: Sequence[str], fixed: Sequence[Event], free: Sequence[Event] = ()
) -> list[tuple[str, tuple[Event, ...]]]:
    """Every template with the ``fixed`` events first and the ``free`` ones in every order."""
    orders = [(*fixed, *order) for order in permutations(free)]
    return [(template, order) for template in templates for order in orders]
