"""Which entries of the queue make a batch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Entry(Generic[Item, Result]):
    """An item in the queue and the future of its result."""

    item: Item
    length: float
    count: int
    deadline: float
    queued_at: float
    future: Future[Result]

    @property
    def cost(self) -> float:
        """What the item costs alone."""
        return self.length * self.count


def pick(
    entries: Iterable[Entry[Item, Result]],
    max_count: int,
    max_cost: float,
    overdue_before: float = -math.inf,
) -> list[Entry[Item, Result]]:
    """The oldest entry (the first), and as many others as the budget holds.

    First those queued before ``overdue_before``, in their order, then those closest to the
    oldest one's length. The oldest always goes, even over the budget: nothing starves.
    """
    queue = [*entries]
    if not queue:
        return []
    oldest = queue[0]

    def rank(entry: Entry[Item, Result]) -> tuple[bool, float]:
        overdue = entry.queued_at < overdue_before
        return not overdue, 0.0 if overdue else abs(entry.length - oldest.length)

    batch = [oldest]
    longest, count = oldest.length, oldest.count
    for entry in sorted(queue[1:], key=rank):
        new_longest, new_count = max(longest, entry.length), count + entry.count
        if new_count <= max_count and new_longest * new_count <= max_cost:
            batch.append(entry)
            longest, count = new_longest, new_count
    return batch
