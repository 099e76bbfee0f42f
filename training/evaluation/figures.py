"""What a row of the table comes to, with its 95% interval.

Shapes: N cases, K kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.captions.naming import Naming

SURE, OFTEN = 0.5, 3
"""A kind counts in ``precision`` if the teacher is surer than this, of so many clips."""
RESAMPLES = 200

V = TypeVar("V")
Opinions = tuple[NDArray[np.float32], NDArray[np.float32]]
"""The scores of K kinds, and what the teacher says of them."""


@dataclass(frozen=True)
class Figure:
    """A share, a mean or an area, and where it lies with 95% confidence."""

    value: float
    low: float
    high: float
    cases: int
    leak: float | None = None
    """Share of captions that name what they should not, where there is such a thing."""


def share(verdicts: Sequence[bool], leak: float | None = None) -> Figure:
    """Of all cases those with a yes; the interval is Wilson's."""
    yes = sum(verdicts)
    return Figure(yes / len(verdicts), *wilson(yes, len(verdicts)), len(verdicts), leak)


def right(namings: Sequence[Naming]) -> Figure:
    """Share of captions that name what they should."""
    leak = fmean(naming.leaks for naming in namings) if namings[0].unwanted else None
    return share([naming.right for naming in namings], leak)


def inventing(namings: Sequence[Naming]) -> Figure:
    """Share of captions that name a sound where there is none."""
    return share([not naming.right for naming in namings])


def false(namings: Sequence[Naming]) -> Figure:
    """Sounds per caption that are not there."""
    return mean([naming.false for naming in namings])


def mean(numbers: Sequence[float]) -> Figure:
    """The mean of the cases."""
    return _resampled(fmean, numbers)


def middle(numbers: Sequence[float]) -> Figure:
    """The median of the cases."""
    return _resampled(median, numbers)


def ratio(numbers: Sequence[tuple[float, float]]) -> Figure:
    """The median of the first over that of the second."""
    return _resampled(lambda some: median(a for a, _ in some) / median(b for _, b in some), numbers)


def separation(scored: Sequence[tuple[bool, float]]) -> Figure:
    """Area under the ROC curve of scores that should tell yes from no."""
    return _resampled(_area, scored)


def precision(opinions: Sequence[Opinions]) -> Figure:
    """Average precision against the teacher, averaged over the kinds of which it is often sure."""
    sure = np.stack([teacher for _, teacher in opinions]) > SURE
    kinds = np.flatnonzero(sure.sum(axis=0) >= OFTEN)
    few = [(scores[kinds], teacher[kinds]) for scores, teacher in opinions]
    return _resampled(_average_precision, few)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _resampled(statistic: Callable[[Sequence[V]], float], cases: Sequence[V]) -> Figure:
    """The statistic, and its percentile bootstrap; not a number where it has no value."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(cases), size=(RESAMPLES, len(cases)))
    found = [statistic([cases[i] for i in draw]) for draw in draws.tolist()]
    known = [value for value in found if not np.isnan(value)] or [np.nan]
    low, high = np.quantile(known, (0.025, 0.975))
    return Figure(float(statistic(cases)), float(low), float(high), len(cases))


def _area(scored: Sequence[tuple[bool, float]]) -> float:
    yes, scores = zip(*scored, strict=True)
    return float(roc_auc_score(yes, scores)) if 0 < sum(yes) < len(yes) else np.nan


def _average_precision(opinions: Sequence[Opinions]) -> float:
    scores, teacher = (np.stack(part) for part in zip(*opinions, strict=True))
    sure = teacher > SURE
    found = [
        average_precision_score(sure[:, kind], scores[:, kind])
        for kind in np.flatnonzero(sure.any(axis=0))
    ]
    return float(np.mean(found)) if found else np.nan
