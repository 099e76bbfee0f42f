"""Which sounds captions name, of those they should and of those they should not.

A sound is given as AudioSet's labels any of which names it, as in ``captions.sounds.ESC50``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from training.captions.ontology import expand, parents
from training.captions.sounds import as_good_as, mentions

Labels = tuple[str, ...]
"""Of one sound: any of them names it."""


def named(caption: str) -> Labels:
    """The labels that ``caption`` names, each once, in the order of its words."""
    return tuple(dict.fromkeys(mention.label for mention in mentions(caption)))


@cache
def says(mentioned: str, label: str) -> bool:
    """Whether to mention the one is to name the other, as ``captions.sounds.names`` has it."""
    return mentioned in as_good_as(label) or label in expand(mentioned)


@cache
def related(one: str, other: str) -> bool:
    """Whether two labels may tell of the same sound: one is a case of the other, or says it.

    Alternatives count: a hiss may be a cat's.
    """
    cases = one in _ancestors(other) or other in _ancestors(one)
    return cases or says(one, other) or says(other, one)


@cache
def apart(ones: Labels, others: Labels) -> bool:
    """Whether no label of the one sound is related to one of the other."""
    return not any(related(one, other) for one in ones for other in others)


@cache
def _ancestors(label: str) -> frozenset[str]:
    return frozenset(up for parent in parents(label) for up in (parent, *_ancestors(parent)))


@dataclass(frozen=True)
class Naming:
    """What a caption names, held against what it should and should not."""

    named: Labels
    wanted: tuple[Labels, ...]
    """Sounds; where there is none, no sound at all should be named."""
    unwanted: tuple[Labels, ...] = ()

    @property
    def found(self) -> list[bool]:
        """Of each sound that is wanted, whether it is named."""
        return [any(self._is(label, sound) for label in self.named) for sound in self.wanted]

    @property
    def right(self) -> bool:
        """What is wanted is named; or no sound, if none is wanted."""
        return all(self.found) if self.wanted else not self.named

    @property
    def leaks(self) -> bool:
        """Something unwanted is named all the same, by a label that names nothing wanted."""
        others = [one for one in self.named if not any(self._is(one, w) for w in self.wanted)]
        return any(self._is(label, sound) for label in others for sound in self.unwanted)

    @property
    def strange(self) -> list[str]:
        """What is named and related to none of these, nor to what was named strange before it."""
        strangers: list[str] = []
        for label in self.named:
            if all(apart((label,), sound) for sound in (*self.wanted, *self.unwanted)) and apart(
                (label,), tuple(strangers)
            ):
                strangers.append(label)
        return strangers

    @property
    def false(self) -> int:
        """How many sounds are named that are related to none of these."""
        return len(self.strange)

    @staticmethod
    def _is(mentioned: str, sound: Labels) -> bool:
        return any(says(mentioned, label) for label in sound)


def rates(namings: Sequence[Naming]) -> dict[str, float]:
    """``leak``: share of captions that do; ``false``: per caption; ``recall``: share of all that is
    wanted, left out where nothing is.
    """
    found = [found for naming in namings for found in naming.found]
    per_caption = {
        "leak": fmean(naming.leaks for naming in namings),
        "false": fmean(naming.false for naming in namings),
    }
    return per_caption | ({"recall": fmean(found)} if found else {})
