"""Which kinds of sound captions name, of those they should and of those they should not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from scipy.stats import binomtest

from training.captions.lexicon import kinds_named


@dataclass(frozen=True)
class Naming:
    """A caption, held against what it should and should not name."""

    caption: str
    wanted: frozenset[str]
    """Kinds; where there is none, the caption should name no sound at all."""
    unwanted: frozenset[str] = frozenset()

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The kinds that it names, in the order of its words; one may come again."""
        return tuple(mention.kind for mention in kinds_named(self.caption))

    @property
    def found(self) -> list[bool]:
        """Of each kind that is wanted, whether it is named."""
        return [kind in self.named for kind in sorted(self.wanted)]

    @property
    def right(self) -> bool:
        """What is wanted is named; or no sound, if none is wanted."""
        return all(self.found) if self.wanted else not self.named

    @property
    def leaks(self) -> bool:
        """Something unwanted is named all the same."""
        return not self.unwanted.isdisjoint(self.named)

    @property
    def false(self) -> int:
        """How many kinds are named that are neither."""
        return len({*self.named} - self.wanted - self.unwanted)


def rates(namings: Sequence[Naming]) -> dict[str, float]:
    """``leak``: share of captions that do; ``false``: per caption; ``recall``: share of all that is
    wanted, left out where nothing is.
    """
    found = [found for naming in namings for found in naming.found]
    per_caption = {
        "leak": fmean(naming.leaks for naming in namings),
        "false": fmean(naming.false for naming in namings),
    }
    return per_caption | ({"recall": fmean(found)} if found else {})


def shares(namings: Sequence[Naming]) -> dict[str, float]:
    """Share right with its 95% interval (Wilson), share of leaks, number of captions."""
    right = sum(naming.right for naming in namings)
    low, high = wilson(right, len(namings))
    return {
        "right": right / len(namings),
        "low": low,
        "high": high,
        "leak": fmean(naming.leaks for naming in namings),
        "cases": len(namings),
    }


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
