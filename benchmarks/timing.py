"""Taking times so that ratios can be trusted on a machine that does other things, too."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch


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


def print_over_first(head: str, took: Mapping[str, float], digits: int) -> None:
    """Print seconds as a Markdown table of milliseconds and of what they are over the first's.

    A name has as many cells as ``head``.
    """
    first = next(iter(took.values()))
    print(f"| {head} | ms | over the first |\n{'|---' * (head.count('|') + 3)}|")
    for name, seconds in took.items():
        print(f"| {name} | {1e3 * seconds:.{digits}f} | {seconds / first:.2f} |")


def add_clock(parser: argparse.ArgumentParser) -> None:
    """Options of how many threads work and by which ``clock`` they are timed."""
    parser.add_argument("--threads", type=int, help="of torch (its own choice)")
    parser.add_argument(
        "--cpu-time",
        dest="clock",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        help="take the processor's time, not the clock's: on a machine that does other things",
    )


def set_threads(arguments: argparse.Namespace) -> None:
    """Those that were asked for."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
