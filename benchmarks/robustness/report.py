"""What became of all requests, as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from benchmarks.robustness.requests import BROKEN, HUNG, Outcome

EARLY = 500
"""Requests after which the memory is looked at again, once everything has been in use."""


def lines(
    outcomes: Sequence[Outcome], memory: Sequence[tuple[int, float]], seconds: float
) -> Iterator[str]:
    """Tables by kind, by format and by mutation; then memory, losses and throughput.

    ``memory`` holds counts of requests and MiB.
    """
    bad = [one for one in outcomes if one.kind == "bad"]
    hostile = [one for one in outcomes if one.kind == "hostile"]
    yield from _table("kind", outcomes, lambda one: one.kind)
    yield from _table("format", bad, lambda one: one.name)
    yield from _table("mutation", bad, lambda one: one.mutation)
    yield from _table("client", hostile, lambda one: one.name)
    lost = [one.lost_s for one in bad if one.lost_s]
    yield f"Sound lost without a warning: {sum(lost):.2f} s, in {len(lost)} files."
    yield f"Decoders that a file ended: {sum(one.crashed for one in bad)}."
    yield f"Memory: {_memory(memory)}."
    rate = len(outcomes) / seconds if seconds else 0.0
    yield f"{len(outcomes):,} requests in {seconds / 60:.1f} minutes: {rate:.2f} a second."
    faults = Counter(one.fault for one in outcomes if one.fault)
    yield f"Faults: {', '.join(f'{n} x {what}' for what, n in faults.items()) or 'none'}."


def _table(title: str, outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> Iterator[str]:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        groups[key(one)].append(one)
    if not groups:
        return
    statuses = sorted({one.status for group in groups.values() for one in group}, reverse=True)
    statuses.sort(key=lambda status: status <= 0)
    names = {BROKEN: "no answer", HUNG: "hangs"}
    heads = [names.get(status, str(status)) for status in statuses]
    yield f"| {title} | requests | {' | '.join(heads)} | warned | median s | slowest s |"
    yield "|---" * (len(heads) + 5) + "|"
    for name, group in sorted(groups.items()):
        counts = Counter(one.status for one in group)
        warned = sum(one.warned for one in group)
        times = [one.seconds for one in group]
        figures = [len(group), *(counts[status] for status in statuses), warned]
        row = " | ".join(f"{figure:,}" for figure in figures)
        yield f"| {name} | {row} | {median(times):.2f} | {max(times):.2f} |"
    yield ""


def _memory(memory: Sequence[tuple[int, float]]) -> str:
    """Each figure is the median of up to ten readings, because buffers come and go."""
    if not memory:
        return "not measured, as the service was not started here"
    early = [mb for count, mb in memory if EARLY <= count < 2 * EARLY][:10]
    parts = [f"{memory[0][1]:.0f} MiB at the start"]
    if early:
        parts.append(f"{median(early):.0f} after {EARLY} requests")
    parts.append(f"{median(mb for _, mb in memory[-10:]):.0f} at the end")
    return ", ".join(parts) + f", {max(mb for _, mb in memory):.0f} at most"
