"""Which entries make a batch, and which clips share a padded one."""

from __future__ import annotations

import math
from concurrent.futures import Future
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.picking import Entry, pick, similar


def entry(length: float, queued_at: float = 0.0) -> Entry[None, None]:
    return Entry(None, length, 1, math.inf, queued_at, Future())


def lengths(batch: list[Entry[None, None]]) -> list[float]:
    return [entry.length for entry in batch]


def test_pick_takes_what_is_closest_to_the_oldest() -> None:
    queue = [entry(10), entry(1), entry(9), entry(50), entry(12)]
    assert lengths(pick(queue, 3, math.inf)) == [10, 9, 12]
    assert lengths(pick(queue, 9, 24)) == [10, 9]
    assert pick([], 9, 24) == []


def test_the_overdue_go_first_and_in_their_order() -> None:
    queue = [entry(10, 0), entry(1, 1), entry(50, 2), entry(10, 3), entry(11, 3)]
    assert lengths(pick(queue, 4, math.inf, overdue_before=3)) == [10, 1, 50, 10]
    assert lengths(pick(queue, 3, math.inf, overdue_before=2)) == [10, 1, 10]


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
    batch = pick(queue, max_count, max_cost, overdue_before)
    assert batch[0] is queue[0]
    assert len(set(map(id, batch))) == len(batch)
    if len(batch) > 1:
        count = sum(entry.count for entry in batch)
        assert count <= max_count
        assert count * max(entry.length for entry in batch) <= max_cost


# -- similar --------------------------------------------------------------------------------------


def cost(groups: list[list[int]], lengths: list[float], call_cost: float) -> float:
    return sum(max(lengths[i] for i in group) * len(group) + call_cost for group in groups)


@pytest.mark.parametrize(
    ("call_cost", "groups"),
    [
        (0.0, [[1], [3], [2], [0]]),
        (2.0, [[1, 3], [2, 0]]),
        (math.inf, [[1, 3, 2, 0]]),
    ],
)
def test_a_batch_is_split_where_padding_costs_more_than_a_call(
    call_cost: float, groups: list[list[int]]
) -> None:
    assert similar([30.0, 1.0, 29.0, 1.5], call_cost) == groups


def test_nothing_makes_no_group() -> None:
    assert similar([], 1.0) == []


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 60), min_size=1, max_size=7), st.floats(0, 100))
def test_no_other_split_is_cheaper(lengths: list[float], call_cost: float) -> None:
    """Against every way to cut the sorted clips."""
    groups = similar(lengths, call_cost)
    assert sorted(chain(*groups)) == [*range(len(lengths))]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    cheapest = math.inf
    for cuts in range(2 ** (len(order) - 1)):
        split: list[list[int]] = [[order[0]]]
        for place, index in enumerate(order[1:]):
            if cuts >> place & 1:
                split.append([index])
            else:
                split[-1].append(index)
        cheapest = min(cheapest, cost(split, lengths, call_cost))
    assert cost(groups, lengths, call_cost) == pytest.approx(cheapest)
