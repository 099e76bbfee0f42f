"""``python -m benchmarks.robustness``: mutated files and hostile clients against a service.

Files of every format are damaged and forged, with a sense of how they are built, and sent between
intact ones. Status 1 if any request got an answer that the contract does not have, none at all, or
not within the service's time limit; if an intact file is described otherwise than at the start; or
if the service is not ready at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.robustness.mutations import mutant
from benchmarks.robustness.report import lines
from benchmarks.robustness.requests import Client, Outcome
from benchmarks.robustness.seeds import seeds
from benchmarks.serving.clips import Request
from benchmarks.serving.systems import ROOT, SYSTEMS, running

BESIDE = 16
"""Hostile clients at a time, beside the others: some of them wait for long."""
READING = 50
"""Requests between two readings of the memory."""


class Run:
    """Requests of a mix of kinds, drawn by chance, until the time is up."""

    def __init__(self, options: argparse.Namespace, resident: Callable[[], float] | None) -> None:
        self._options = options
        self._resident = resident
        self.outcomes: list[Outcome] = []
        self.memory: list[tuple[int, float]] = []
        """Requests so far, and MiB."""
        self.seconds = 0.0
        self.ready = False

    async def run(self, url: str) -> None:
        """Fill ``outcomes`` and ``memory``."""
        client = Client(url, self._options.seed)
        await client.start()
        self._weigh()
        began = time.monotonic()
        end = began + 60 * self._options.minutes
        numbers = {"good": count(), "bad": count(self._options.first), "hostile": count()}
        kinds, shares = zip(*self._options.mix.items(), strict=True)
        chance = np.random.default_rng(self._options.seed)
        weights = np.array(shares) / sum(shares)

        async def ask(kind: str) -> None:
            self._take(await getattr(client, kind)(next(numbers[kind])))
            self.seconds = time.monotonic() - began

        async def ask_beside() -> None:
            async with beside:
                await ask("hostile")

        async def one_client() -> None:
            while time.monotonic() < end:
                kind = str(chance.choice(kinds, p=weights))
                if kind == "hostile":
                    async with beside:  # wait until there is room
                        others.create_task(ask_beside())
                else:
                    await ask(kind)

        beside = asyncio.Semaphore(BESIDE)
        async with asyncio.TaskGroup() as others:
            for _ in range(self._options.clients):
                others.create_task(one_client())
        self.ready = await client.ready()
        await client.close()

    def _take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if outcome.fault or outcome.lost_s:
            self._keep(outcome)
        if len(self.outcomes) % READING == 0:
            self._weigh()
        if len(self.outcomes) % 500 == 0:
            print(f"{len(self.outcomes)} requests, {self.seconds:.0f} s", file=sys.stderr)

    def _weigh(self) -> None:
        if self._resident:
            self.memory.append((len(self.outcomes), self._resident()))

    def _keep(self, outcome: Outcome) -> None:
        """Write down what went wrong, and the file that did it."""
        fault = outcome.fault or f"{outcome.lost_s:.2f} s lost"
        print(f"{outcome.kind} {outcome.number}, {outcome.name} {outcome.mutation}: {fault}")
        if outcome.kind == "bad":
            keep(outcome.number, self._options)
        with (self._options.output / "faults.jsonl").open("a") as file:
            print(json.dumps(asdict(outcome)), file=file)


def keep(number: int, options: argparse.Namespace) -> Path:
    """Write a case's file."""
    made = mutant(number, options.seed)
    path: Path = options.output / f"{options.seed}-{number}-{made.mutation}.{made.format}"
    path.write_bytes(made.data)
    return path


def _mix(text: str) -> dict[str, float]:
    pairs = (one.partition("=") for one in text.split(","))
    mix = {kind: float(share) for kind, _, share in pairs}
    if not mix.keys() <= {"good", "bad", "hostile"} or min(mix.values()) <= 0:
        raise ValueError(text)
    return mix


def main() -> int:
    """Run, report; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.robustness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (0)")
    parser.add_argument(
        "--first", type=int, default=0, metavar="N", help="number of the first case (0)"
    )
    parser.add_argument("--clients", type=int, default=2, help="requests at a time (2)")
    parser.add_argument(
        "--mix",
        type=_mix,
        default="good=1,bad=19",
        help="shares of good, bad and hostile requests (good=1,bad=19)",
    )
    parser.add_argument("--url", help="of a service that runs; else one is started")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "build" / "robustness",
        help="folder for failing cases and the service's log (build/robustness)",
    )
    parser.add_argument("--case", type=int, metavar="N", help="only write the file of this case")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's jobs are deaf to it
    if options.case is not None:
        print(keep(options.case, options))
        return 0
    with ExitStack() as stack:
        url, resident = options.url, None
        if url is None:
            # So small a cache that it is full at once: what still grows is not what it may hold.
            os.environ["AUDIODIFF_CACHE_MB"] = "1"
            probe = Request("/caption", (("file", seeds()[0].data),))
            log = options.output / "service.log"
            server = stack.enter_context(running(SYSTEMS[0], log, probe))
            url, resident = f"http://127.0.0.1:{server.port}", lambda: server.resident_mb
        run = Run(options, resident)
        try:
            asyncio.run(run.run(url))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
    for line in lines(run.outcomes, run.memory, run.seconds):
        print(line)
    print(f"Ready at the end: {'yes' if run.ready else 'no'}.")
    return int(not run.ready or any(one.fault for one in run.outcomes))


if __name__ == "__main__":
    sys.exit(main())
