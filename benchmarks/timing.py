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

    They take turns, so that whatever else the machine does in the meantime meets all of them.
    """
    for run in contestants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
    return {name: median(each) for name, each in seconds.items()}
