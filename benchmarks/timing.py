"""Taking times so that ratios can be trusted on a machine that does other things, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


def by_turns(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each, after one run of each that does not count.

    They take turns, so that whatever else the machine does in the meantime meets all of them; and
    the turns rotate and reverse, since who runs after whom decides what is left in the caches.
    """
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        first = number // 2 % len(contestants)
        order = [*contestants][first:] + [*contestants][:first]
        for name in reversed(order) if number % 2 else order:
            began = clock()
            contestants[name]()
            seconds[name].append(clock() - began)
    return {name: median(each) for name, each in seconds.items()}
