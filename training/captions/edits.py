"""What is said of an edit: which sounds were added, removed, made louder, moved.

``edits.json`` holds what sounds are called; ``model.changes`` the forms of the sentences.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from model.changes import ALL, KINDS, OPPOSITES, Kind, order, state
from training.captions.ontology import expand


@dataclass(frozen=True)
class Noun:
    """What a kind of sound is called."""

    label: str
    """AudioSet's name."""
    text: str
    """With its article, if it has one."""
    plural: bool

    @property
    def known(self) -> str:
        """As one speaks of what was heard before: "the rain"."""
        return f"the {re.sub('^(an?|the) ', '', self.text)}"


EVERYTHING = Noun("", ALL, plural=False)


@dataclass(frozen=True)
class Edit:
    """A change, and of what."""

    kind: Kind
    noun: Noun

    @property
    def inverse(self) -> Edit:
        """The edit that takes it back."""
        return Edit(OPPOSITES[self.kind], self.noun)


def sentence(edits: Sequence[Edit], style: str = "statement") -> str:
    """What is said of ``edits``, in an order that is the kinds' and then the nouns' own."""
    ordered = sorted(edits, key=lambda edit: (KINDS.index(edit.kind), edit.noun.text))
    changes = [(edit.kind, _called(edit), edit.noun.plural) for edit in ordered]
    return state(changes) if style == "statement" else order(changes)


def _called(edit: Edit) -> str:
    new = edit.kind == "added" or edit.noun is EVERYTHING
    return edit.noun.text if new else edit.noun.known


@cache
def noun(label: str) -> Noun | None:
    """What a sound of ``label`` is called; None if neither it nor an ancestor has a name."""
    nouns = _read()["nouns"]
    for name in (label, *expand(label)):
        if name in nouns:
            return Noun(name, nouns[name].removeprefix("+"), nouns[name].startswith("+"))
    return None


@cache
def every() -> tuple[Noun, ...]:
    """All that sounds are called."""
    return tuple(called for label in _read()["nouns"] if (called := noun(label)))


def nouns(labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What sounds are called, without article -> those of ``labels`` that are called so."""
    found: dict[str, tuple[str, ...]] = {}
    for label in labels:
        if called := noun(label):
            name = called.known.removeprefix("the ")
            found[name] = (*found.get(name, ()), label)
    return found


def backgrounds() -> frozenset[str]:
    """The labels of sounds that go on and may fill a clip."""
    return frozenset(_read()["backgrounds"])


def steady() -> frozenset[str]:
    """Those of them that sound alike from any place on."""
    return frozenset(_read()["steady"])


@cache
def _read() -> Any:
    return json.loads(Path(__file__).with_name("edits.json").read_text(encoding="utf-8"))
