"""How sure a figure is: what is known of means of normal numbers."""

from __future__ import annotations

import numpy as np
import pytest

from training.experiments import intervals


def test_the_interval_of_many_scenes_is_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(3, 2, (1, 2500))
    found = intervals.mean(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.error == pytest.approx(2 / 50, rel=0.1)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2 / 50, rel=0.1)
    assert found.visible == pytest.approx(2.8 * found.error)


def test_seeds_that_disagree_make_it_wide() -> None:
    scenes = np.zeros(400)
    agreeing = np.stack([scenes + 1] * 5)
    apart = np.stack([scenes + seed for seed in (0.8, 0.9, 1.0, 1.1, 1.2)])
    assert intervals.mean(agreeing).error == 0
    assert intervals.mean(apart).error == pytest.approx(np.sqrt(0.02 / 5), rel=0.1)


def test_a_difference_is_of_the_same_scenes() -> None:
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 5, 300)  # some scenes are harder for all
    one, other = (hard + rng.normal(shift, 0.1, (5, 300)) for shift in (0.1, 0.0))
    found = intervals.difference(one, other)
    assert 0.05 < found.low < found.mean < found.high < 0.15
    assert intervals.mean(one).error > 10 * found.error
    assert intervals.difference(one, other[:3]).mean == pytest.approx((one[:3] - other[:3]).mean())
