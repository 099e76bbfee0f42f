"""Shares, means and areas, and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.captions.naming import Naming
from training.evaluation import figures
from training.evaluation.figures import wilson


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


def test_shares_of_captions() -> None:
    dog, rain = (("Dog",),), (("Rain",),)
    right, wrong = Naming(("Dog",), dog), Naming(("Cat",), dog)
    found = figures.right([right, wrong, right, right])
    assert (found.value, found.leak, found.cases) == (0.75, None, 4)
    assert (found.low, found.high) == wilson(3, 4)
    leaking = [Naming(("Dog", "Rain"), dog, rain), Naming(("Dog",), dog, rain)]
    assert figures.right(leaking).leak == 0.5
    assert figures.inventing([Naming((), ()), Naming(("Dog",), ())]).value == 0.5
    assert figures.false([wrong, right]).value == 0.5


def test_means_and_their_intervals() -> None:
    found = figures.mean([0.0, 1.0] * 50)
    assert found.value == 0.5
    assert 0.38 < found.low < 0.45 < 0.55 < found.high < 0.62
    assert figures.middle([1.0, 2.0, 50.0]).value == 2


def test_separation() -> None:
    scored = [(True, 0.9), (True, 0.4), (False, 0.5), (False, 0.1)]
    assert figures.separation(scored).value == 0.75
    assert figures.separation([(yes, -score) for yes, score in scored]).value == 0.25
    assert math.isnan(figures.separation([(True, 0.1)] * 3).value)


def test_precision_is_over_the_kinds_of_which_the_teacher_is_often_sure() -> None:
    teacher = np.array([[0.9, 0.9, 0.1], [0.8, 0.1, 0.1], [0.7, 0.6, 0.9], [0.1, 0.1, 0.1]])
    scores = np.array([[0.9, 0.0, 0.0], [0.1, 0.9, 0.0], [0.8, 0.0, 0.0], [0.5, 0.9, 0.0]])
    found = figures.precision(list(zip(scores, teacher, strict=True)))
    assert found.value == pytest.approx((1 + 1 + 3 / 4) / 3)  # of the first kind alone
    assert found.cases == 4
