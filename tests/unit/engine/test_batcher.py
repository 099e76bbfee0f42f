"""The batcher alone: work that is stopped and let go by events, never by the clock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import replace

import pytest

from engine.batcher import Batcher, Limits
from engine.errors import Closed, DeadlinePassed, QueueFull, WorkerDied

WAIT_S = 20
ROOMY = Limits(max_count=100, max_cost=1e9, max_queue=1000, max_queue_cost=1e9)


class FatalError(Exception):
    pass


class Work:
    """Answers an item with its square once the gate is open; "bad" items raise."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def __call__(self, items: Sequence[object]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.entered.release()
        assert self.gate.wait(WAIT_S)
        for item in items:
            if isinstance(item, BaseException):
                raise item
        return [item * item if isinstance(item, int) else KeyError(item) for item in items]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


Make = Callable[..., "Batcher[object, int]"]


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def make(work: Work) -> Iterator[Make]:
    """Starts batchers, and shuts them at the end."""
    made: list[Batcher[object, int]] = []

    def start(limits: Limits = ROOMY, **more: object) -> Batcher[object, int]:
        batcher: Batcher[object, int] = Batcher(
            work,
            limits,
            is_fatal=lambda error: isinstance(error, FatalError),
            **more,  # type: ignore[arg-type]
        )
        batcher.start()
        made.append(batcher)
        return batcher

    yield start
    work.gate.set()
    for batcher in made:
        batcher.close(WAIT_S)
        assert not batcher._thread.is_alive()


def occupy(batcher: Batcher[object, int], work: Work) -> Future[int]:
    """Have the worker busy with one item, stopped at the gate."""
    future = batcher.submit(1, length=1)
    assert work.entered.acquire(timeout=WAIT_S)
    return future


def results(futures: Sequence[Future[int]]) -> list[int | str]:
    """Each result, or the name of each error."""
    return [
        type(error).__name__ if (error := future.exception(WAIT_S)) is not None else future.result()
        for future in futures
    ]


def test_a_batch_is_cut_only_when_the_worker_is_free(make: Make, work: Work) -> None:
    batcher = make()
    first = occupy(batcher, work)
    later = [batcher.submit(n, length=1) for n in range(2, 7)]
    assert batcher.depth == 5
    work.gate.set()
    assert results([first, *later]) == [1, 4, 9, 16, 25, 36]
    assert work.batches == [[1], [2, 3, 4, 5, 6]]


def test_a_batch_keeps_to_the_count(make: Make, work: Work) -> None:
    batcher = make(Limits(max_count=4, max_cost=1e9, max_queue=99, max_queue_cost=1e9))
    occupy(batcher, work)
    futures = [batcher.submit(n, length=1, count=2) for n in range(2, 7)]
    work.gate.set()
    assert results(futures) == [4, 9, 16, 25, 36]
    assert work.batches[1:] == [[2, 3], [4, 5], [6]]


def test_a_batch_keeps_to_the_padded_cost_and_takes_similar_lengths(make: Make, work: Work) -> None:
    batcher = make(Limits(max_count=99, max_cost=20, max_queue=99, max_queue_cost=1e9))
    occupy(batcher, work)
    futures = [batcher.submit(n, length=n) for n in (10, 1, 9, 2, 50, 1)]
    work.gate.set()
    assert results(futures) == [100, 1, 81, 4, 2500, 1]
    # 10 and 9 cost 2 x 10; then 1, 2, 1 cost 3 x 2; 50 is over the budget and goes alone.
    assert [sorted(batch) for batch in work.batches[1:]] == [[9, 10], [1, 1, 2], [50]]


def test_who_has_waited_for_two_batches_goes_before_who_fits_better(make: Make, work: Work) -> None:
    clock = Clock()
    batcher = make(Limits(3, 1e9, 99, 1e9), clock=clock)
    first = occupy(batcher, work)
    clock.now += 3  # what a batch takes
    work.gate.set()
    first.result(WAIT_S)
    work.gate.clear()
    occupy(batcher, work)
    work.batches.clear()
    futures = [batcher.submit(n, length=n) for n in (10, 50)]
    clock.now += 9
    futures += [batcher.submit(n, length=n) for n in (9, 11)]
    work.gate.set()
    results(futures)
    assert work.batches == [[10, 50, 9], [11]]


def test_what_is_past_its_deadline_is_not_run(make: Make, work: Work) -> None:
    clock = Clock()
    batcher = make(clock=clock)
    occupied = occupy(batcher, work)
    late = batcher.submit(2, length=1, deadline=clock.now + 5)
    timely = batcher.submit(3, length=1, deadline=clock.now + 50)
    clock.now += 10
    work.gate.set()
    assert results([occupied, late, timely]) == [1, "DeadlinePassed", 9]
    assert isinstance(late.exception(), DeadlinePassed)
    assert work.batches == [[1], [3]]


def test_a_cancelled_item_leaves_the_queue_at_once_and_is_not_run(make: Make, work: Work) -> None:
    batcher = make(Limits(max_count=9, max_cost=1e9, max_queue=1, max_queue_cost=1e9))
    occupy(batcher, work)
    gone = batcher.submit(2, length=5)
    assert gone.cancel()
    assert (batcher.depth, batcher.queued_cost) == (0, 0)
    stays = batcher.submit(3, length=1)
    work.gate.set()
    assert results([stays]) == [9]
    assert work.batches == [[1], [3]]
    with pytest.raises(CancelledError):
        gone.result()


def test_a_running_item_cannot_be_cancelled(make: Make, work: Work) -> None:
    running = occupy(make(), work)
    assert not running.cancel()
    work.gate.set()
    assert results([running]) == [1]


@pytest.mark.parametrize("place", range(16))
def test_a_poisoned_item_fails_alone(make: Make, work: Work, place: int) -> None:
    batcher = make()
    occupy(batcher, work)
    items: list[object] = list(range(16))
    items[place] = ValueError("poison")
    futures = [batcher.submit(item, length=1) for item in items]
    work.gate.set()
    expected: list[object] = [n * n for n in range(16)]
    expected[place] = "ValueError"
    assert results(futures) == expected
    # Halving: the whole, then both halves of each failed part.
    assert len(work.batches) - 1 == 1 + 2 * 4


def test_an_error_in_a_results_place_is_that_items_and_costs_no_retry(
    make: Make, work: Work
) -> None:
    batcher = make()
    occupy(batcher, work)
    futures = [batcher.submit(item, length=1) for item in (2, "bad", 3)]
    work.gate.set()
    assert results(futures) == [4, "KeyError", 9]
    assert len(work.batches) == 2


def test_too_few_results_are_an_error_and_not_a_mix_up() -> None:
    batcher: Batcher[int, int] = Batcher(lambda _: [0], ROOMY)
    futures = [batcher.submit(n, length=1) for n in range(2)]
    batcher.start()
    # Alone, each gets the one result; together they must not share it.
    assert [future.result(WAIT_S) for future in futures] == [0, 0]
    batcher.close(WAIT_S)

    silent: Batcher[int, int] = Batcher(lambda _: [], ROOMY)
    silent.start()
    with pytest.raises(RuntimeError, match="1 items gave 0 results"):
        silent.submit(1, length=1).result(WAIT_S)
    silent.close(WAIT_S)


def test_stop_iteration_is_turned_into_an_error_that_asyncio_can_carry(
    make: Make, work: Work
) -> None:
    work.gate.set()
    error = make().submit(StopIteration(), length=1).exception(WAIT_S)
    assert isinstance(error, RuntimeError)


def test_the_queue_is_bounded_by_count_and_by_cost(make: Make, work: Work) -> None:
    batcher = make(Limits(max_count=9, max_cost=1e9, max_queue=3, max_queue_cost=10))
    occupy(batcher, work)
    big = batcher.submit(2, length=100)  # an empty queue takes any one item
    with pytest.raises(QueueFull, match="audio"):
        batcher.submit(3, length=1)
    assert big.cancel()
    accepted = [batcher.submit(n, length=1) for n in range(3)]
    with pytest.raises(QueueFull, match="requests") as refusal:
        batcher.submit(4, length=1)
    assert refusal.value.retry_after_s >= 0
    work.gate.set()
    assert results(accepted) == [0, 1, 4]


def test_the_estimate_grows_with_the_queue(make: Make, work: Work) -> None:
    clock = Clock()
    batcher = make(Limits(max_count=2, max_cost=1e9, max_queue=99, max_queue_cost=1e9), clock=clock)
    first = occupy(batcher, work)
    clock.now += 8
    work.gate.set()
    assert results([first]) == [1]
    work.gate.clear()
    occupy(batcher, work)
    assert batcher.eta_s == 8
    for n in range(4):
        batcher.submit(n, length=1)
    assert batcher.eta_s == 8 * 3


def test_close_answers_everything_accepted_and_takes_nothing_more(make: Make, work: Work) -> None:
    batcher = make(Limits(max_count=2, max_cost=1e9, max_queue=99, max_queue_cost=1e9))
    futures = [occupy(batcher, work), *(batcher.submit(n, length=1) for n in range(7))]
    done: list[bool] = []
    closer = threading.Thread(target=lambda: done.append(batcher.close(WAIT_S)))
    closer.start()
    while not batcher._closed:
        closer.join(0.001)
    with pytest.raises(Closed):
        batcher.submit(9, length=1)
    work.gate.set()
    closer.join(WAIT_S)
    assert done == [True]
    assert results(futures) == [1, 0, 1, 4, 9, 16, 25, 36]


def test_close_fails_what_is_left_at_its_limit(make: Make, work: Work) -> None:
    batcher = make()
    futures = [occupy(batcher, work), batcher.submit(2, length=1)]
    assert not batcher.close(0)
    assert results(futures) == ["Closed", "Closed"]
    work.gate.set()  # the late result is dropped, and the worker ends in peace
    batcher._thread.join(WAIT_S)
    assert not batcher.died


@pytest.mark.parametrize("death", [FatalError(), SystemExit(1)])
def test_a_dead_worker_fails_everything_and_says_so(
    make: Make, work: Work, death: BaseException
) -> None:
    batcher = make(replace(ROOMY, max_count=2))
    occupied = occupy(batcher, work)
    doomed = [batcher.submit(item, length=1) for item in (2, death, 3)]
    work.gate.set()
    assert results([occupied]) == [1]
    assert results(doomed) == ["FatalBatch", "FatalBatch", "WorkerDied"]
    batcher._thread.join(WAIT_S)
    assert batcher.died
    with pytest.raises(WorkerDied):
        batcher.submit(4, length=1)
    assert work.batches == [[1], [2, death]]


def test_a_set_up_that_fails_is_a_death(make: Make) -> None:
    def set_up() -> None:
        raise RuntimeError("no device")

    batcher = make(set_up=set_up)
    batcher._thread.join(WAIT_S)
    assert batcher.died
    assert not batcher.ready


def test_it_is_ready_only_after_set_up(make: Make, work: Work) -> None:
    go = threading.Event()
    work.gate.set()
    batcher = make(set_up=lambda: assert_(go.wait(WAIT_S)))
    assert not batcher.ready
    queued = batcher.submit(2, length=1)
    assert work.batches == []
    go.set()
    assert results([queued]) == [4]
    assert batcher.ready


def assert_(value: bool) -> None:
    assert value


def test_the_heartbeat_ages_while_a_batch_hangs(make: Make, work: Work) -> None:
    clock = Clock()
    batcher = make(clock=clock)
    hung = occupy(batcher, work)
    assert batcher.heartbeat_age_s == 0
    clock.now += 70
    assert batcher.heartbeat_age_s == 70
    work.gate.set()
    assert results([hung, batcher.submit(2, length=1)]) == [1, 4]
    assert batcher.heartbeat_age_s == 0


def test_a_full_batch_does_not_wait_for_company(make: Make, work: Work) -> None:
    work.gate.set()
    patient = Limits(max_count=2, max_cost=1e9, max_queue=99, max_queue_cost=1e9, max_wait_s=1e6)
    batcher = make(patient)
    alone = batcher.submit(2, length=1)
    assert not work.entered.acquire(timeout=0.05)
    assert results([alone, batcher.submit(3, length=1)]) == [4, 9]
    assert work.batches == [[2, 3]]
    last = batcher.submit(4, length=1)
    batcher.close(WAIT_S)  # nobody can come any more
    assert results([last]) == [16]


def test_every_future_resolves_under_load_cancels_and_faults(make: Make, work: Work) -> None:
    work.gate.set()
    batcher = make(Limits(max_count=8, max_cost=60, max_queue=200, max_queue_cost=1e9))
    outcomes: list[tuple[object, Future[int]]] = []

    def client(seed: int) -> None:
        dice = random.Random(seed)
        for n in range(100):
            item: object = ValueError("poison") if dice.random() < 0.05 else n
            try:
                future = batcher.submit(item, length=dice.uniform(1, 30))
            except QueueFull:
                continue
            if dice.random() < 0.2:
                future.cancel()
            outcomes.append((item, future))

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join(WAIT_S)
    assert batcher.close(WAIT_S)
    assert len(outcomes) > 200
    for item, future in outcomes:
        assert future.done()
        if not future.cancelled():
            error = future.exception()
            if isinstance(item, int):
                assert error is None
                assert future.result() == item * item
            else:
                assert error is item
    assert batcher.depth == 0
