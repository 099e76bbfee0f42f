"""What captions name, of what they should and should not; the intervals of shares."""

from __future__ import annotations

import pytest

from training.evaluation.naming import Naming, rates, wilson

DOG, CAT, NONE = frozenset({"dog"}), frozenset({"cat"}), frozenset[str]()
BOTH = "a dog barks and a cat meows"


def test_right_and_leaks() -> None:
    assert Naming(BOTH, DOG).right
    assert not Naming("a cat meows", DOG).right
    assert Naming("there is no difference", NONE).right
    assert not Naming("a dog barks", NONE).right
    assert not Naming("a dog barks", DOG | CAT).right
    assert Naming(BOTH, DOG, CAT).leaks
    assert not Naming("a dog barks", DOG, CAT).leaks
    assert not Naming("a dog barks", DOG).leaks


def test_kinds_are_named_in_the_order_of_the_words() -> None:
    assert Naming("a dog then a cat then a dog", NONE).named == ("dog", "cat", "dog")


def test_rates_are_per_wanted_kind_and_per_caption() -> None:
    namings = [
        Naming(BOTH, DOG, CAT),  # leaks
        Naming(f"{BOTH} while rain falls", DOG | {"siren"}, NONE),  # cat and rain are false
        Naming("something", NONE, CAT),
    ]
    assert rates(namings) == {
        "leak": pytest.approx(1 / 3),
        "false": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
    }
    assert rates(namings[2:]) == {"leak": 0, "false": 0}


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=6e-5)
    mirrored = wilson(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=6e-5)
