"""What of an explanation of two recordings is right."""

from __future__ import annotations

from typing import Any

import pytest

from training.captions.edits import noun
from training.captions.explanations import Facts, Part
from training.evaluation import explaining
from training.evaluation.explaining import Sides
from training.evaluation.row import Case

DOG_RAIN = (("Dog", "Bark"), ("Rain",))


def judged(caption: str) -> Sides:
    return explaining.sides(Case("x", list, DOG_RAIN), [{"caption": caption}])


def facts(label: str, **measured: float) -> Facts:
    called = noun(label)
    assert called is not None
    usual: dict[str, Any] = {"level_db": -30.0, "centre_octaves": 10.0, "seconds": 4.0, "onsets": 1}
    return Facts((Part(called, 0.0, 4.0),), **(usual | measured))


@pytest.mark.parametrize(
    ("caption", "right", "swapped"),
    [
        ("the first has a dog, the second has rain", (True, True), False),
        ("the first has a barking dog, the second has a siren", (True, False), False),
        ("the first has rain, the second has a dog", (False, False), True),
        ("both have rain, the first also has a dog", (True, True), False),
        ("the first has rain and a dog, the second has wind", (True, False), True),
        ("nothing of the kind", (False, False), False),
    ],
)
def test_sounds_count_on_their_own_side(
    caption: str, right: tuple[bool, bool], swapped: bool
) -> None:
    assert judged(caption) == Sides(right, swapped)


def test_sides_are_summed_up() -> None:
    verdicts = [Sides((True, True), False), Sides((True, False), True)]
    assert explaining.recalled(verdicts).value == 0.75
    assert explaining.swapped(verdicts).value == 0.5


def test_statements_are_held_against_what_was_measured() -> None:
    pair = facts("Dog", level_db=-20.0), facts("Rain", seconds=9.0)
    case = Case("x", list, DOG_RAIN, facts=lambda: pair)
    caption = (
        "the first has a dog. the second lasts about nine seconds. the first is louder. "
        "the second is brighter. gibberish."
    )
    assert explaining.truth(case, [{"caption": caption}]) == pytest.approx(0.6)
    assert explaining.truth(case, [{"caption": ""}]) == 0.0


def test_what_is_said_of_a_clip_stays_with_it() -> None:
    there = {"caption": "the first has a dog, the second has rain, the first is louder"}
    back = {"caption": "the first has rain, the second has a dog, the first is louder"}
    case = Case("x", list, DOG_RAIN)
    assert explaining.turns(case, [there, back]) == pytest.approx(2 / 3)
    other = {"caption": "both have rain"}
    assert explaining.turns(case, [other, other]) is None
