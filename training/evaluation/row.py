"""A row of the table: what is asked, and how the answers are judged and summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from model.types import Style
from training.captions.edits import Edit
from training.captions.explanations import Facts
from training.captions.naming import Labels
from training.datasets.recording import Samples
from training.evaluation.figures import Figure
from training.evaluation.material import Material

V = TypeVar("V")
Files = Mapping[str, bytes | str]
"""Field -> file: ``file`` for a caption, ``input`` and ``reference`` for a difference; a text is an
option."""
Answer = Mapping[str, Any]
"""As the HTTP API has it."""


@dataclass(frozen=True)
class Case:
    """One question, or several that are judged together."""

    name: str
    make: Callable[[], Sequence[Files]]
    """The requests: made when they are sent."""
    wanted: tuple[Labels, ...] = ()
    """Sounds that the caption should name; none: it should name no sound at all."""
    unwanted: tuple[Labels, ...] = ()
    kind: str = ""
    """What is wanted, in a word."""
    other: str = ""
    """What is not, in a word."""
    truth: Callable[[], Samples] | None = None
    """What else the judge holds the answer against."""
    edits: tuple[Edit, ...] = ()
    """What was done to the reference to make the input."""
    facts: Callable[[], tuple[Facts, Facts]] | None = None
    """What is known of two clips that are explained."""


@dataclass(frozen=True)
class Row(Generic[V]):
    """A figure over cases."""

    name: str
    title: str
    cases: Callable[[Material], Sequence[Case]]
    """Raises FileNotFoundError if the data for it is missing."""
    judge: Callable[[Case, Sequence[Answer]], V | None]
    """The verdict on the answers to a case; None: it cannot be judged."""
    total: Callable[[Sequence[V]], Figure]
    clients: int = 8
    """How many cases are asked at a time."""
    style: Style = "rest"
    """Of differences: a service that does not tell them in it is not asked."""
