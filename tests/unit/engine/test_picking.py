"""Which entries make a batch, and which clips share a padded one."""

from __future__ import annotations

import math
from concurrent.futures import Future

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.batcher import Entry, Limits, pick


def entry(length: float, queued_at: float = 0.0) -> Entry[None, None]:
    return Entry(None, length, 1, math.inf, queued_at, Future())


def limits(max_count: int, max_cost: float) -> Limits:
    return Limits(max_count, max_cost, max_queue=1, max_queue_cost=1)


def lengths(batch: list[Entry[None, None]]) -> list[float]:
    return [entry.length for entry in batch]


def test_pick_takes_what_is_closest_to_the_oldest() -> None:
    queue = [entry(10), entry(1), entry(9), entry(50), entry(12)]
    assert lengths(pick(queue, limits(3, math.inf))) == [10, 9, 12]
    assert lengths(pick(queue, limits(9, 24))) == [10, 9]
    assert pick([], limits(9, 24)) == []


def test_the_overdue_go_first_and_in_their_order() -> None:
    queue = [entry(10, 0), entry(1, 1), entry(50, 2), entry(10, 3), entry(11, 3)]
    assert lengths(pick(queue, limits(4, math.inf), overdue_before=3)) == [10, 1, 50, 10]
    assert lengths(pick(queue, limits(3, math.inf), overdue_before=2)) == [10, 1, 10]


entries = st.lists(
    st.builds(
        lambda length, count, queued_at: Entry(None, length, count, math.inf, queued_at, Future()),
        st.floats(0.1, 100),
        st.integers(1, 2),
        st.floats(0, 10),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(entries, st.integers(1, 16), st.floats(1, 500), st.floats(0, 10))
def test_pick_takes_the_oldest_and_keeps_to_the_budget(
    queue: list[Entry[None, None]], max_count: int, max_cost: float, overdue_before: float
) -> None:
    batch = pick(queue, limits(max_count, max_cost), overdue_before)
    assert batch[0] is queue[0]
    assert len(set(map(id, batch))) == len(batch)
    if len(batch) > 1:
        count = sum(entry.count for entry in batch)
        assert count <= max_count
        assert count * max(entry.length for entry in batch) <= max_cost
