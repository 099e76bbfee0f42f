"""How sure a figure of several seeds and scenes is.

Shapes: N seeds, C scenes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000
POWER = 1.96 + 0.84
"""Standard errors that a difference must be worth to be seen four times of five, at 5%."""

Values = NDArray[np.float64]
"""[N, C]."""


@dataclass(frozen=True)
class Interval:
    """A mean, and where 95% of its bootstrap lies."""

    mean: float
    low: float
    high: float
    error: float
    """Standard error."""

    @property
    def visible(self) -> float:
        """The difference that would have been seen four times of five."""
        return POWER * self.error


def mean(values: Values) -> Interval:
    """The mean [N, C]: seeds and scenes are drawn again, with replacement."""
    return _interval(values)


def difference(values: Values, others: Values) -> Interval:
    """The mean of ``values`` less that of ``others``, on the same scenes and by the same seeds.

    The first seeds of both count, as many as both have.
    """
    seeds = min(len(values), len(others))
    apart = values[:seeds] - others[:seeds]
    return _interval(apart)


def _interval(values: Values) -> Interval:
    seeds, scenes = values.shape
    rng = np.random.default_rng(0)
    drawn = np.empty(DRAWS)
    for draw in range(DRAWS):
        by_scene = values[rng.integers(seeds, size=seeds)].mean(axis=0)
        drawn[draw] = by_scene[rng.integers(scenes, size=scenes)].mean()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), float(drawn.std()))
