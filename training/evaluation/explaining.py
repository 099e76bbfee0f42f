"""Explanations: pairs of recordings, and what of an explanation of them is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from model.explanations import CLIPS, Side, Statement, read
from model.types import Detail
from training.captions.edits import noun
from training.captions.explanations import Facts, Part
from training.captions.naming import Labels, says
from training.captions.sounds import mentions
from training.datasets.recording import read_samples
from training.evaluation.figures import Figure, mean, share
from training.evaluation.material import Clip, Material, Pair
from training.evaluation.row import Answer, Case, Files
from training.scenes.clips import facts

MEASURED_AT = 16_000
"""Hertz: what was learned from was measured at it, too."""


@dataclass(frozen=True)
class Sides:
    """What an answer says of the sounds of both clips."""

    right: tuple[bool, bool]
    """Of each clip, whether it is named as its own."""
    swapped: bool
    """Whether a clip's sound is named as the other's alone."""


def pairs(material: Material, detail: Detail, *, both: bool = False) -> list[Case]:
    """Two real recordings of unrelated kinds each, as they are stored; ``both``: swapped, too."""
    how = {"style": "explain", "detail": detail}

    def make(pair: Pair) -> list[Files]:
        one, other = (clip.path.read_bytes() for clip in (pair.original, pair.added))
        asked: list[Files] = [{"input": one, "reference": other, **how}]
        return [*asked, {"input": other, "reference": one, **how}] if both else asked

    return [
        Case(
            f"{pair.original.name} | {pair.added.name}",
            partial(make, pair),
            (pair.original.labels, pair.added.labels),
            kind=pair.original.kind,
            other=pair.added.kind,
            facts=partial(_measured, pair),
        )
        for pair in material.real_pairs
    ]


def sides(case: Case, answers: Sequence[Answer]) -> Sides:
    """Whether the sounds of each are named as its own."""
    said = [_named(read(answers[0]["caption"]), side) for side in CLIPS]
    named = [
        [any(says(label, own) for label in labels for own in wanted) for labels in said]
        for wanted in case.wanted
    ]
    (first, astray), (other_astray, second) = named
    swapped = (astray and not first) or (other_astray and not second)
    return Sides((first, second), swapped)


def recalled(verdicts: Sequence[Sides]) -> Figure:
    """Of all clips, those whose sound is named on their side."""
    return mean([fmean(verdict.right) for verdict in verdicts])


def swapped(verdicts: Sequence[Sides]) -> Figure:
    """Share of the answers that give a clip's sound to the other alone."""
    return share([verdict.swapped for verdict in verdicts])


def truth(case: Case, answers: Sequence[Answer]) -> float:
    """The share of the statements that the signals bear out; what cannot be read is not."""
    assert case.facts is not None
    first, second = case.facts()
    said = read(answers[0]["caption"])
    return fmean(one is not None and one.holds(first, second) for one in said) if said else 0.0


def turns(_: Case, answers: Sequence[Answer]) -> float | None:
    """Of what is said of one clip in both orders, the share whose side is swapped with the clips.

    None where nothing is said twice.
    """
    there, back = ({one for one in read(a["caption"]) if one is not None} for a in answers)
    again = {_of_nobody(one) for one in back}
    twice = [one for one in there if one.side != "both" and _of_nobody(one) in again]
    return fmean(one.swapped in back for one in twice) if twice else None


def _of_nobody(one: Statement) -> Statement:
    """What is stated, of whichever clip."""
    return Statement(one.kind, "both", one.what, one.much)


def _named(said: Sequence[Statement | None], side: Side) -> Labels:
    """The labels of the sounds that the clip is said to have."""
    own = [one for one in said if one and one.kind == "has" and one.side in (side, "both")]
    return tuple(mention.label for one in own for mention in mentions(one.what[0]))


def _measured(pair: Pair) -> tuple[Facts, Facts]:
    first, second = (_facts(clip) for clip in (pair.original, pair.added))
    return first, second


def _facts(clip: Clip) -> Facts:
    """What is measured in a recording; what its source says, and the teacher hears, is in it."""
    samples = read_samples(clip.path, MEASURED_AT)
    seconds = len(samples) / MEASURED_AT
    called = (noun(label) for label in (*clip.labels, *clip.heard))
    parts = [Part(each, 0.0, seconds) for each in called if each is not None]
    return facts(samples, MEASURED_AT, parts)
