"""The figures of style ``changes``: pairs of edits of recordings that nobody trained on.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from engine.changes import OPERATIONS
from model.changes import OPPOSITES
from training.captions.edits import EVERYTHING, Edit, Noun, sentence
from training.captions.naming import named, says
from training.datasets.recording import Samples
from training.evaluation import figures, files
from training.evaluation.material import Material
from training.evaluation.row import Answer, Case, Files, Row

PREFIX = "changes-"
COUNT = 200
"""Pairs of each row, at most."""
KINDS = {"add": ("add",), "level": ("level",), "replace": ("replace",), "move": ("move",),
         "two": ("add", "level")}  # fmt: skip
LATER_S = 0.2
CHANGED = {"style": "changes"}
BACK: dict[str, str] = {
    OPERATIONS[kind]: OPERATIONS[opposite] for kind, opposite in OPPOSITES.items()
}


def late(samples: Samples, sample_rate: int) -> bytes:
    """[S] -> a WAV file that begins a moment later."""
    return files.exact(samples[int(LATER_S * sample_rate) :], sample_rate)


COPIES: dict[str, tuple[str, Callable[[Samples, int], bytes]]] = {
    "equal": ("identical", files.exact),
    "mp3": ("re-encoded as MP3", files.mp3),
    "opus": ("re-encoded as Opus", files.opus),
    "late": (f"begun {LATER_S} s later", late),
}
"""Row -> how the input is made of the reference, in words and in samples."""


Make = Callable[[Material, int, Sequence[str]], list[Files]]
"""The requests of a pair, by its number and the kinds of its edits."""

# -- cases ------------------------------------------------------------------------------------


@cache
def drawn(material: Material, name: str) -> tuple[tuple[int, tuple[Edit, ...]], ...]:
    """Pairs with the edits of one of ``KINDS``: their numbers, and the edits."""
    return tuple((n, pair.edits) for n, pair in material.edits.drawn(KINDS[name], COUNT))


def edited(material: Material, name: str, make: Make) -> Iterator[Case]:
    """These pairs, asked for as ``make`` has it."""
    for number, edits in drawn(material, name):
        yield Case(
            f"{name} {number}: {sentence(edits)}",
            partial(make, material, number, KINDS[name]),
            edits=edits,
        )


def both_ways(material: Material, number: int, kinds: Sequence[str]) -> list[Files]:
    """A pair in style changes, and with its clips swapped."""
    pair = material.edits.numbered(number, kinds)
    input_, reference = (files.exact(clip, files.SAMPLE_RATE) for clip in (pair.after, pair.before))
    return [{"input": input_, "reference": reference, "both": "true", **CHANGED}]


def alone(material: Material, number: int, kinds: Sequence[str]) -> list[Files]:
    """What its edits alone make another, as a clip of its own."""
    apart = material.edits.numbered(number, kinds).apart
    return [{"file": files.exact(apart / (2 * np.abs(apart).max()), files.SAMPLE_RATE)}]


def copied(material: Material, store: Callable[[Samples, int], bytes]) -> list[Case]:
    """Scenes against themselves, stored in another way."""

    def make(number: int) -> list[Files]:
        scene = material.edits.numbered(number, ()).before
        input_, reference = (one(scene, files.SAMPLE_RATE) for one in (store, files.exact))
        return [{"input": input_, "reference": reference, **CHANGED}]

    return [Case(f"scene {number}", partial(make, number)) for number in range(COUNT)]


def timed(material: Material) -> list[Case]:
    """Pairs in either style, none of whose clips was heard before: for the other style both clips
    have another sign. Which style is asked first alternates.
    """

    def make(number: int) -> list[Files]:
        pair = material.edits.numbered(number, ())
        asked: list[Files] = [
            {
                "input": files.exact(sign * pair.after[::-1], files.SAMPLE_RATE),
                "reference": files.exact(sign * pair.before[::-1], files.SAMPLE_RATE),
                "style": style,
            }
            for sign, style in ((1, "rest"), (-1, "changes"))
        ]
        return asked[::-1] if number % 2 else asked

    return [Case(f"scene {number}", partial(make, number), kind=str(number % 2))
            for number in range(100)]  # fmt: skip


# -- judges -----------------------------------------------------------------------------------


def operation(case: Case, answers: Sequence[Answer]) -> bool:
    """Whether just those kinds of change are told that were made."""
    return _operations(answers[0]) == sorted(OPERATIONS[edit.kind] for edit in case.edits)


def sound(case: Case, answers: Sequence[Answer]) -> bool | None:
    """Whether the sound of the one change is named, the operation being right; else None."""
    if not operation(case, answers):
        return None
    (edit,), (told,) = case.edits, answers[0]["changes"]
    return names(told["sound"], edit.noun)


def named_alone(case: Case, answers: Sequence[Answer]) -> bool:
    """Whether a caption of the sound of the one change names it."""
    return any(says(label, case.edits[0].noun.label) for label in named(answers[0]["caption"]))


def swapped(_: Case, answers: Sequence[Answer]) -> bool | None:
    """Whether the opposite is said with the clips swapped; None where nothing is said."""
    told = _operations(answers[0])
    return _operations(answers[0]["reverse"]) == sorted(BACK[one] for one in told) if told else None


def ratio(case: Case, answers: Sequence[Answer]) -> tuple[float, float]:
    """Milliseconds in style ``changes``, and in ``rest``."""
    rest, changes = answers[::-1] if case.kind == "1" else answers
    return changes["timing_ms"]["total"], rest["timing_ms"]["total"]


def names(told: str, noun: Noun) -> bool:
    """Whether to tell of ``told`` is to name the sound, or a case of it."""
    if noun is EVERYTHING or told == noun.text:
        return told == noun.text
    return told in noun.text or any(says(label, noun.label) for label in named(told))


def _operations(answer: Answer) -> list[str]:
    return sorted(change["operation"] for change in answer["changes"])


# -- rows -------------------------------------------------------------------------------------


def rows() -> Iterator[Row[Any]]:
    """In the order of the table."""

    def row(
        name: str,
        title: str,
        cases: Callable[[Material], Sequence[Case]],
        judge: Callable[[Case, Sequence[Answer]], Any] = operation,
        total: Callable[[Sequence[Any]], figures.Figure] = figures.share,
        clients: int = 8,
    ) -> Row[Any]:
        return Row(PREFIX + name, f"changes: {title}", cases, judge, total, clients, "changes")

    def of(*kinds: str, make: Make = both_ways) -> Callable[[Material], Sequence[Case]]:
        return lambda material: [case for kind in kinds for case in edited(material, kind, make)]

    low, high = 6, 12
    yield row("add", "operation right, a sound added or removed", of("add"))
    yield row("level", f"operation right, louder or quieter by {low} to {high} dB", of("level"))
    yield row("sound", "sound right, given the operation (both)", of("add", "level"), sound)
    yield row("sound-add", "of it: added or removed", of("add"), sound)
    yield row("sound-level", "of it: louder or quieter", of("level"), sound)
    yield row(
        "alone",
        "for scale: captions of the changed sound alone, named",
        of("add", "level", make=alone),
        named_alone,
    )
    for name, (title, store) in COPIES.items():
        yield row(name, f"nothing said of a copy, {title}", partial(copied, store=store))
    yield row("swapped", "clips swapped: the opposite is said", of("add", "level"), swapped)
    yield row("two", "both operations right of two edits", of("two"))
    yield row("replace", "operation right, replaced by another of its kind", of("replace"))
    yield row("move", "operation right, moved", of("move"))
    yield row(
        "time", "time of style changes over rest (medians)", timed, ratio, figures.ratio, clients=1
    )
