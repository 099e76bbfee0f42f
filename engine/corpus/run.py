"""Ray: embedded in this process, or a cluster's; and the parts that are left, on its workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from engine.corpus.worker import Order, Worker
from engine.settings import cores
from model.errors import AudiodiffError

OBJECT_STORE = 100 << 20
"""Bytes of shared memory for an embedded Ray: nothing but the parts' numbers passes through."""


@dataclass(frozen=True)
class Places:
    """What there is room for."""

    device: str
    """cpu or cuda."""
    workers: int
    cores: int
    """For each worker."""


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """Ray, while the block runs: that at ``address``, or one here with room for ``workers``.

    It reports to nobody and, embedded, listens on the loopback alone. Raises AudiodiffError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        # By this variable Ray takes the loopback for its node; on Linux, too.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data

    own: dict[str, Any] = {
        "address": "local",
        "num_cpus": workers and max(workers, cores()),
        "object_store_memory": OBJECT_STORE,
        "include_dashboard": False,
    }
    try:
        ray.init(
            **(own if address is None else {"address": address}),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # of a start that takes too long, no other class
        raise AudiodiffError(f"Ray cannot be reached or started: {error}") from error
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield
    finally:
        ray.shutdown()


def places(device: str, workers: int | None) -> Places:
    """Workers for a ``device`` (auto, cpu or cuda) on the Ray that is connected.

    A GPU or a core each, unless ``workers`` says how many. Raises AudiodiffError.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    if device == "cpu":
        return Places(device, workers or int(sum(node.get("CPU", 0) for node in nodes)), 1)
    if not gpus:
        raise AudiodiffError("Ray finds no GPU: use --device cpu")
    share = min(int(node.get("CPU", 0) // node["GPU"]) for node in gpus)
    return Places(device, workers or int(sum(node["GPU"] for node in gpus)), max(1, share))


def run(parts: Sequence[int], order: Order, found: Places) -> Iterator[int]:
    """Do these parts, at least one; the number of each that is done.

    Raises AudiodiffError: a worker could not go on. What is done stays done.
    """
    import ray

    order = replace(order, device=found.device, cores=found.cores)
    results = ray.data.from_items(
        [{"part": part} for part in parts], override_num_blocks=len(parts)
    ).map_batches(
        Worker,
        fn_constructor_args=(order,),
        batch_size=1,
        num_cpus=found.cores,
        num_gpus=1 if found.device == "cuda" else 0,
        compute=ray.data.ActorPoolStrategy(
            size=min(found.workers, len(parts)),
            max_tasks_in_flight_per_actor=1,  # who is free first takes the next
        ),
    )
    try:
        for row in results.iter_rows():
            yield int(row["part"])
    except ray.exceptions.RayError as error:
        raise AudiodiffError(
            f"a worker could not go on ({_root(error)}); what is done is kept, and the same "
            "command goes on from there"
        ) from error


def _root(error: BaseException) -> str:
    """The last line of what a worker raised: what went wrong, without its traceback."""
    return str(error).strip().rpartition("\n")[2] or type(error).__name__
