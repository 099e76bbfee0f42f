"""Explanations by rule: each statement is read again, holds, and is true the other way round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.explanations import Statement, read
from training.captions.edits import every, noun
from training.captions.explanations import Facts, Part, caption, explain

TIERS = ("words", "sentence", "paragraph")


def part(label: str, start_s: float = 0.0, end_s: float = 4.0) -> Part:
    called = noun(label)
    assert called is not None
    return Part(called, start_s, end_s)


def facts(*sounds: Part, **measured: float) -> Facts:
    usual: dict[str, Any] = {"level_db": -30.0, "centre_octaves": 10.0, "seconds": 4.0, "onsets": 1}
    return Facts(sounds, **(usual | measured))


def drawn(rng: np.random.Generator, *known: Part) -> Facts:
    seconds = float(rng.uniform(0.7, 21))
    starts = sorted(rng.uniform(0, seconds, rng.integers(1, 4)).tolist())
    sounds = [Part(every()[rng.integers(len(every()))], start, seconds) for start in starts]
    return Facts(
        tuple(sorted([*sounds, *known], key=lambda one: one.start_s)),
        float(rng.uniform(-45, -10)), float(rng.uniform(7, 12)), seconds, float(rng.uniform(0, 5)),
    )  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
def test_all_that_is_stated_is_read_and_true(tier: Any) -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for number in range(400):
        first = drawn(rng)
        second = drawn(rng, *first.sounds[: number % 2])
        text = explain(first, second, tier)
        said = read(text)
        assert said, text
        for one in said:
            assert one is not None, text
            assert one.holds(first, second), (text, one)
            assert one.swapped.holds(second, first), (text, one)
            kinds.add(one.kind)
        assert {one.what[0] for one in said if one and one.kind == "has"} == {
            each.noun.text for each in (*first.sounds, *second.sounds)
        }, "every sound is told of"
    expected = {"has"} if tier == "words" else {"has", "more"}
    if tier == "paragraph":
        expected |= {"before", "lasts", "alike", "shares nothing"}
    assert kinds == expected


def test_the_three_tiers() -> None:
    dog, rain = part("Dog", 0.0, 1.0), part("Rain", 1.5)
    first = facts(dog, rain, level_db=-20.0, seconds=6.0)
    second = facts(part("Rain"), centre_octaves=12.5, seconds=3.0, onsets=1.1)
    assert explain(first, second, "words") == "both have rain, the first also has a dog"
    assert explain(first, second, "sentence") == (
        "both have rain, the first also has a dog, the first is longer, the second is much brighter"
    )
    assert explain(first, second, "paragraph") == (
        "the first has a dog and rain. the first lasts about six seconds. in the first the dog is "
        "heard before the rain. the second has rain. the second lasts about three seconds. both "
        "have rain. the first is louder and longer. the second is much brighter. both are about as "
        "busy."
    )
    assert caption(first, "second") == "the second has a dog and rain"


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("the first has a cat", {}),
        ("the first has a flurb", {}),
        ("both have a dog", {}),
        ("they have nothing in common", {}),
        ("in the first the rain is heard before the dog", {}),
        ("the first lasts about nine seconds", {}),
        ("the second is louder", {}),
        ("the first is much louder", {}),
        ("both are about as loud", {}),
        ("the first is louder", {"level_db": -31.0}),
        ("the first is brighter", {}),
    ],
)
def test_what_is_not_so_does_not_hold(text: str, changed: dict[str, float]) -> None:
    first = facts(part("Dog", 0.0), part("Rain", 2.0), level_db=-25.0)
    second = facts(part("Rain"), level_db=-30.0)
    if changed:
        first = replace(first, **changed)
    [said] = read(text)
    assert said is not None
    assert not said.holds(first, second)


def test_a_general_name_is_true_of_a_case_and_as_in_captions_a_case_of_it() -> None:
    car, vehicle = facts(part("Car")), facts(part("Vehicle"))
    for text, true in (
        ("the first has a vehicle", True),
        ("the second has a car", True),
        ("the first has a train", False),
    ):
        [said] = read(text)
        assert said is not None
        assert said.holds(car, vehicle) is true


def test_an_article_does_not_matter_to_the_order() -> None:
    [said] = read("In the SECOND the insects are heard before the dog.")
    assert said == Statement("before", "second", ("the insects", "the dog"))
    heard = facts(part("Insect", 0.0), part("Dog", 2.0))
    assert said.holds(heard, heard)


@pytest.mark.parametrize(
    "text",
    [
        "the first is purple", "both are about as much loud", "both are louder",
        "the first is loud", "there is a dog", "the second lasts about ninety seconds", "both have",
    ],
)  # fmt: skip
def test_of_another_form_nothing_is_read(text: str) -> None:
    assert read(text) == [None]
    assert read(f"{text}, the first has rain") == [None, Statement("has", "first", ("rain",))]
