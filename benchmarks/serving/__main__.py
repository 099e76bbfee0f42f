"""``python -m benchmarks.serving``: this service against others, in one run on one machine."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import mean, median

import matplotlib as mpl
import torch

from benchmarks.serving import report
from benchmarks.serving.clips import requests
from benchmarks.serving.load import Sample, closed_loop, open_loop
from benchmarks.serving.servers.shared import RUNTIME
from benchmarks.serving.systems import MANY, OURS, RIVALS, ROOT, SYSTEMS, Running, System, running

HERE = Path(__file__).resolve().parent
LOADS = (
    "1 client",
    MANY,
    "40% of the ceiling",
    "80% of the ceiling",
    "120% of the ceiling",
    "300% of the ceiling",
)
"""The last is for this service alone: those that refuse nothing would be at it for minutes."""
DEADLINE_S = 30.0  # AUDIODIFF_REQUEST_TIMEOUT_S's default


def install_rivals() -> None:
    """Their packages into an environment of their own, which sees this one's beneath it."""
    if not (RIVALS / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(RIVALS)], check=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        ours = Path(torch.__file__).parents[1]
        beneath = RIVALS / "lib" / version / "site-packages" / "beneath.pth"
        beneath.write_text(f"{ours}\n{ROOT}\n")
        pip = [str(RIVALS / "bin" / "pip"), "install", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(HERE / "requirements.txt")], check=True)
        (RIVALS / "done").touch()


def ceiling(seconds: float, runtime: str) -> dict[str, float]:
    """What the captioner, with our search, does without a server: ``per_s`` and ``alone_ms``."""
    command = [sys.executable, "-m", "benchmarks.serving.servers.ceiling", str(seconds)]
    env = os.environ | {RUNTIME: runtime}
    run = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    print(f"ceiling: {found}", flush=True)
    return found


def measure(server: Running, load: str, per_s: float, seconds: float, turn: int) -> list[Sample]:
    """Put one load on one server: always the same sounds, in files whose bytes are new to it."""
    first = (turn * len(LOADS) + LOADS.index(load) + 1) * 10**6
    stream = server.requests(requests(serial=first))
    kind, _, _ = load.partition(" ")
    if load.endswith(("client", "clients")):
        return asyncio.run(closed_loop(server.port, stream, int(kind), seconds))
    rate = per_s * float(kind.rstrip("%")) / 100
    return asyncio.run(open_loop(server.port, stream, rate, seconds))


def compare(systems: list[System], output: Path, seconds: float, rounds: int, runtime: str) -> None:
    """Every load on every system, ours with ``runtime``; the report goes into ``output``.

    Systems run one at a time, because idle ones cost time too, in the opposite order in every
    other round; the ceiling is measured before each round and after the last.
    """
    output.mkdir(parents=True, exist_ok=True)
    part = seconds / rounds
    ceilings = []
    samples: dict[str, dict[str, list[Sample]]] = {load: defaultdict(list) for load in LOADS}
    memory: dict[tuple[str, str], float] = {}
    lost = []
    for turn in range(rounds):
        ceilings.append(ceiling(part, runtime))
        for system in systems if turn % 2 == 0 else systems[::-1]:
            name = system.name
            try:
                with running(system, output / f"{name}.log", next(requests())) as server:
                    for load in system.loads or (LOADS if system is systems[0] else LOADS[:-1]):
                        found = measure(server, load, ceilings[0]["per_s"], part, turn)
                        samples[load][name] += [
                            Sample(s.due + turn * part, s.latency, s.status) for s in found
                        ]
                        memory[load, name] = server.resident_mb
                        point = report.summarize(found, memory[load, name])
                        print(f"{load}, {name}: {point}", flush=True)
            except (RuntimeError, OSError) as error:
                lost.append(f"{name} did not start: {error}")
                print(lost[-1], flush=True)
    ceilings.append(ceiling(part, runtime))
    results = {
        load: {
            system.name: report.summarize(by[system.name], memory[load, system.name])
            for system in systems
            if system.name in by
        }
        for load, by in samples.items()
    }
    limit = {name: mean(one[name] for one in ceilings) for name in ceilings[0]}
    write(output, systems, results, limit, lost)


def write(
    output: Path,
    systems: list[System],
    results: dict[str, dict[str, report.Point]],
    limit: dict[str, float],
    lost: list[str],
) -> None:
    """``report.md``, ``results.json`` and ``throughput.svg``."""
    lines = [
        "# Serving, measured",
        "",
        f"`python -m benchmarks.serving {shlex.join(sys.argv[1:])}`; "
        f"{platform.processor() or 'CPU'}, "
        f"{torch.get_num_threads()} cores, shared with the load generator; "
        f"torch {torch.__version__}, allocator {os.environ.get('LD_PRELOAD', 'of the system')}.",
        "",
        f"Ceiling, in-process and without HTTP: {limit['per_s']:.2f} req/s on ideal batches; "
        f"a request alone takes {limit['alone_ms']:.0f} ms (median).",
        "",
        "Versions: " + ", ".join(f"{s.name} {_version(s)}" for s in systems) + ".",
        *lost,
        "",
        *report.tables(results),
        *report.targets(results, limit["per_s"], DEADLINE_S),
    ]
    (output / "report.md").write_text("\n".join(lines))
    raw = {load: {n: asdict(p) for n, p in points.items()} for load, points in results.items()}
    (output / "results.json").write_text(json.dumps({"ceiling": limit, "loads": raw}, indent=1))
    plot(output / "throughput.svg", results, limit["per_s"])
    print("\n".join(lines))


def plot(path: Path, results: dict[str, dict[str, report.Point]], limit: float) -> None:
    """Throughput and p95 by load, a bar per system."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    names = list(next(iter(results.values())))
    for place, name in enumerate(names):
        at = [number + place * 0.8 / len(names) for number in range(len(results))]
        points = [by_system[name] for by_system in results.values() if name in by_system]
        at = at[: len(points)]
        left.bar(at, [point.per_s for point in points], 0.8 / len(names), label=name)
        right.bar(at, [point.p95_ms for point in points], 0.8 / len(names))
    left.axhline(limit, linestyle="--", color="grey")
    left.set_title("requests a second (dashed: the ceiling)")
    right.set_title("p95, ms")
    right.set_yscale("log")
    for axes in (left, right):
        axes.set_xticks([n + 0.4 for n in range(len(results))], [*results], rotation=20, ha="right")
    left.legend()
    figure.savefig(path)


def soak(count: int, output: Path) -> None:
    """Resident memory of this service after 500 and after ``count`` mixed requests.

    Each is the median of ten readings, 50 requests apart: buffers come and go. The encoder cache
    is small enough to be full by then, so that what still grows is not what it may hold.
    """
    output.mkdir(parents=True, exist_ok=True)
    os.environ["AUDIODIFF_CACHE_MB"] = "16"
    stream = requests()
    with running(OURS, output / "soak.log", next(stream)) as server:

        def send(number: int) -> float:
            load = closed_loop(server.port, islice(stream, number), 16, math.inf)
            if failed := sum(sample.status != 200 for sample in asyncio.run(load)):
                raise SystemExit(f"{failed} requests failed; see {output / 'soak.log'}")
            return server.resident_mb

        send(500)
        first = median(send(50) for _ in range(10))
        print(f"{first:.0f} MiB after 500 requests", flush=True)
        send(count - 1500)
        last = median(send(50) for _ in range(10))
    print(f"{last:.0f} MiB after {count}: {last / first:.3f}")


def _version(system: System) -> str:
    if system.package is None:
        return "(this)"
    found = subprocess.run(
        [system.command[0], "-c",
         f"from importlib.metadata import version; print(version({system.package!r}))"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip() or "not installed"


def main() -> None:
    """Compare or soak."""
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=30, help="of each load on each system")
    parser.add_argument("--rounds", type=int, default=2, help="turns that they are split into")
    parser.add_argument("--systems", nargs="+", choices=names, default=names, help="which ones")
    parser.add_argument("--runtime", default="auto", help="of this service; the others have torch")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="the report's folder")
    parser.add_argument(
        "--soak",
        type=int,
        metavar="N",
        help="instead: send this service N requests, see its memory",
    )
    arguments = parser.parse_args()
    os.environ.setdefault("AUDIODIFF_RUNTIME", arguments.runtime)
    if arguments.soak:
        soak(arguments.soak, arguments.output)
        return
    chosen = [system for system in SYSTEMS if system.name in {OURS.name, *arguments.systems}]
    if any(system.command[0] != sys.executable for system in chosen):
        install_rivals()
    compare(chosen, arguments.output, arguments.seconds, arguments.rounds, arguments.runtime)


if __name__ == "__main__":
    main()
