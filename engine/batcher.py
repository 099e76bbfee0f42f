"""Dynamic batching: one worker thread, and a batch is cut only when that thread is free.

Generic over what is worked on and what comes of it; it knows no audio and no network.
Every future that ``submit`` hands out resolves: with a result, with the item's own error,
with ``DeadlinePassed``, or with ``WorkerDied``/``Closed`` when the worker will not come back;
``FatalBatch`` is the ``WorkerDied`` of those items that may be why.

An item has a ``length`` (seconds of audio) and a ``count`` (clips it adds to a batch). A batch
is padded to its longest item, so its cost is the longest length times all counts.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from engine.errors import Closed, DeadlinePassed, FatalBatch, QueueFull, WorkerDied

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
# An entry that has waited for so many batches goes before those of a better length.
_PATIENCE = 2


@dataclass(frozen=True)
class Limits:
    """What a batch and the queue may hold."""

    max_count: int
    max_cost: float
    max_queue: int
    max_queue_cost: float
    max_wait_s: float = 0.0


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


class Batcher(Generic[Item, Result]):
    """A bounded queue and the one thread that works it off in batches.

    ``run`` maps a batch to as many results, in order; an exception in a result's place is
    that item's error. When ``run`` itself raises, the batch is halved and run again until
    the item at fault stands alone: it gets the error, its neighbours their results. An error
    for which ``is_fatal`` holds ends the worker instead. ``set_up`` runs first, on the worker.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        limits: Limits,
        *,
        set_up: Callable[[], None] = lambda: None,
        is_fatal: Callable[[Exception], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._limits = limits
        self._set_up = set_up
        self._is_fatal = is_fatal
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: dict[Future[Result], Entry[Item, Result]] = {}
        self._running: list[Entry[Item, Result]] = []
        self._closed = False
        self._died = False
        self._ready = False
        self._beat = clock()
        self._batch_s = 0.0
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    # -- any thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the worker; once only."""
        self._thread.start()

    def submit(
        self, item: Item, *, length: float, count: int = 1, deadline: float = math.inf
    ) -> Future[Result]:
        """Queue an item; ``deadline`` is by the batcher's clock. Cancel the future to withdraw.

        Raises QueueFull, Closed or WorkerDied. An empty queue takes any one item.
        """
        future: Future[Result] = Future()
        entry = Entry(item, length, count, deadline, self._clock(), future)
        with self._changed:
            if self._died:
                raise WorkerDied("the model thread has ended; the service must be restarted")
            if self._closed:
                raise Closed("the service is shutting down; try another instance")
            if len(self._queue) >= self._limits.max_queue:
                raise QueueFull("too many requests are waiting; try again later", self.eta_s)
            if self._queue and self.queued_cost + entry.cost > self._limits.max_queue_cost:
                raise QueueFull("too much audio is waiting; try again later", self.eta_s)
            self._queue[future] = entry
            self._changed.notify()
        future.add_done_callback(self._forget)
        return future

    def close(self, timeout_s: float) -> bool:
        """Take nothing more and finish the queue; after ``timeout_s`` fail what is left.

        True when everything was finished in time.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        late = partial(Closed, "the service shut down before the request was done")
        return not self._abandon(running=late, queued=late)

    @property
    def ready(self) -> bool:
        """Whether ``set_up`` is done."""
        return self._ready

    @property
    def died(self) -> bool:
        """Whether the worker ended by an error; it never comes back."""
        return self._died

    @property
    def heartbeat_age_s(self) -> float:
        """Seconds since the worker last turned its loop or began a batch."""
        return self._clock() - self._beat

    @property
    def depth(self) -> int:
        """Items that wait."""
        return len(self._queue)

    @property
    def queued_cost(self) -> float:
        """What the waiting items cost, each alone."""
        with self._changed:
            return sum(entry.cost for entry in self._queue.values())

    @property
    def eta_s(self) -> float:
        """About when an item queued now would be done, going by the latest batches."""
        with self._changed:
            count = sum(entry.count for entry in self._queue.values())
            waiting = max(count / self._limits.max_count, self.queued_cost / self._limits.max_cost)
        return (1 + waiting) * self._batch_s

    def _forget(self, future: Future[Result]) -> None:
        with self._changed:
            self._queue.pop(future, None)

    def _abandon(self, running: Callable[[], Exception], queued: Callable[[], Exception]) -> int:
        """Fail whatever runs or is queued; how many that were."""
        with self._changed:
            doomed = [(entry, queued()) for entry in self._queue.values()]
            self._queue.clear()
        doomed += [(entry, running()) for entry in self._running]
        return sum(_settle(entry.future, error) for entry, error in doomed)

    # -- the worker ---------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._set_up()
            self._ready = True
            while self._wait():
                self._running = self._cut()
                if self._running:
                    began = self._clock()
                    self._process(self._running)
                    seconds = self._clock() - began
                    self._batch_s += (0.2 if self._batch_s else 1.0) * (seconds - self._batch_s)
                    self._running = []
        except BaseException:
            _log.critical("the model thread died", exc_info=True)
            with self._changed:
                self._died = True
            self._abandon(
                running=FatalBatch,
                queued=partial(WorkerDied, "the device failed; the service must be restarted"),
            )

    def _wait(self) -> bool:
        """Wait until a batch is due; False once closed and empty."""
        with self._changed:
            while True:
                self._beat = self._clock()
                if self._queue:
                    pause = self._pause()
                elif self._closed:
                    return False
                else:
                    pause = _BEAT_S
                if pause <= 0:
                    return True
                self._changed.wait(min(pause, _BEAT_S))

    def _pause(self) -> float:
        """Seconds that the oldest entry still waits for company."""
        count = sum(entry.count for entry in self._queue.values())
        if self._closed or count >= self._limits.max_count:
            return 0.0
        oldest = next(iter(self._queue.values()))
        return oldest.queued_at + self._limits.max_wait_s - self._clock()

    def _cut(self) -> list[Entry[Item, Result]]:
        """Take the next batch off the queue, and give up what is past its deadline."""
        with self._changed:
            now = self._clock()
            late = [entry for entry in self._queue.values() if entry.deadline <= now]
            in_time = [entry for entry in self._queue.values() if entry.deadline > now]
            batch = pick(in_time, self._limits, now - _PATIENCE * self._batch_s)
            for entry in (*late, *batch):
                del self._queue[entry.future]
        for entry in late:
            _settle(entry.future, DeadlinePassed("the model was not free in time; try again later"))
        return [entry for entry in batch if entry.future.set_running_or_notify_cancel()]

    def _process(self, batch: Sequence[Entry[Item, Result]]) -> None:
        self._beat = self._clock()
        results: Sequence[Result | Exception]
        try:
            results = self._run([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(batch)} items gave {len(results)} results")
        except Exception as error:
            if self._is_fatal(error):
                raise
            if len(batch) > 1:
                _log.warning("a batch of %d failed; halving it", len(batch), exc_info=True)
                results = []
            else:
                # A future that raised StopIteration would hang who awaits it.
                results = [RuntimeError(repr(error)) if isinstance(error, StopIteration) else error]
        if results:
            for entry, result in zip(batch, results, strict=True):
                _settle(entry.future, result)
        else:
            # Here the error is gone, and with it the memory that its traceback held.
            middle = len(batch) // 2
            self._process(batch[:middle])
            self._process(batch[middle:])


def pick(
    queue: Sequence[Entry[Item, Result]], limits: Limits, overdue_before: float = -math.inf
) -> list[Entry[Item, Result]]:
    """The oldest entry (the first), and as many others as the budget holds.

    First those queued before ``overdue_before``, in their order, then those closest to the
    oldest one's length. The oldest always goes, even over the budget: nothing starves.
    """
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
        if new_count <= limits.max_count and new_longest * new_count <= limits.max_cost:
            batch.append(entry)
            longest, count = new_longest, new_count
    return batch


def _settle(future: Future[Result], result: Result | Exception) -> bool:
    """Resolve a future unless it already is; whether it was this call that did."""
    try:
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    except InvalidStateError:
        return False
    return True
