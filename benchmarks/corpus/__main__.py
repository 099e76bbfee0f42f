"""``python -m benchmarks.corpus``: the rate of ``audiodiff corpus``, and a run that is killed.

First the rate, by turns on the same files: captioners that are called in-process on ideal batches,
on one core and on each, and the command with a worker on each. Rates are those of the median part,
so that a pause of the machine does not count; the processor's time, of the command with all that
Ray does, does not mind what else runs. Then the whole corpus by the command, killed when half of
the parts are there, and gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import pandas as pd
import psutil
import pyarrow.dataset
import pyarrow.parquet as pq

from benchmarks.corpus import files
from engine.corpus.folder import METADATA

ROOT = Path(__file__).resolve().parents[2]
CORES = sorted(os.sched_getaffinity(0))
Rate = tuple[float, float]
"""Files a second, and seconds of the processor for a file."""


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--files", type=int, default=5000, help="in the corpus (5000)")
    parser.add_argument("--per-turn", type=int, default=4096, help="of them, in each turn (4096)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--files-per-part", type=int, default=512, help="as the command's (512)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        broken = files.write(folder / "files", arguments.files)
        paths = sorted(str(path) for path in (folder / "files").rglob("*.*"))
        if arguments.rounds:
            rates(folder, paths[: arguments.per_turn], arguments)
        killed(folder, paths, broken, arguments)


def rates(folder: Path, paths: Sequence[str], arguments: argparse.Namespace) -> None:
    """The table of rates; each one's share is of what the first, on one core, does on as many."""
    one, each = "in-process, one core", f"in-process, on each of {len(CORES)} cores"
    corpus = f"corpus, {len(CORES)} workers"
    found: dict[str, list[Rate]] = {one: [], each: [], corpus: []}
    for number in range(arguments.rounds):
        found[one].append(in_process(folder, [paths[:: len(CORES)]]))
        found[each].append(in_process(folder, [paths[n :: len(CORES)] for n in range(len(CORES))]))
        output = folder / f"turn-{number}"
        cpu_s = watched(command(paths, folder, output, arguments), output)
        found[corpus].append((len(CORES) * worker_rate(output), cpu_s))
    print("| | files a second | share per core | processor's ms a file | share |")
    print("|---|---|---|---|---|")
    for name, turns in found.items():
        cores = 1 if name == one else len(CORES)
        per_s, cpu_s = zip(*turns, strict=True)
        share = median(a / b[0] for a, b in zip(per_s, found[one], strict=True)) / cores
        of_cpu = median(b[1] / a for a, b in zip(cpu_s, found[one], strict=True))
        spread = f"{median(per_s):.1f} ({min(per_s):.1f} to {max(per_s):.1f})"
        print(f"| {name} | {spread} | {share:.2f} | {1e3 * median(cpu_s):.1f} | {of_cpu:.2f} |")


def in_process(folder: Path, shares: Sequence[Sequence[str]]) -> Rate:
    """Captioners side by side, each on a core of its own."""
    children = []
    for core, share in zip(CORES, shares, strict=False):
        listed = folder / f"share-{core}"
        listed.write_text("\n".join(share))
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.corpus.captioner", str(listed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda core=core: os.sched_setaffinity(0, [core]),
        )
        children.append(child)
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    told = [json.loads(child.communicate()[0]) for child in children]
    return sum(one["per_s"] for one in told), sum(one["cpu_s"] for one in told) / len(told)


def command(
    paths: Sequence[str], folder: Path, output: Path, arguments: argparse.Namespace
) -> subprocess.Popen[bytes]:
    """``audiodiff corpus``, started."""
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(["path", *paths]))
    options = {
        "--output": output,
        "--device": "cpu",
        "--workers": len(CORES),
        "--files-per-part": arguments.files_per_part,
    }
    words = [str(word) for option in options.items() for word in option]
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "corpus", str(manifest), *words],
        cwd=ROOT,
        env={**os.environ, "RAY_worker_niceness": "0"},  # as the captioners in-process
        stdout=subprocess.DEVNULL,
    )


def watched(child: subprocess.Popen[bytes], output: Path) -> float:
    """Wait; seconds of the processor for a file, of all processes, once each worker has begun."""
    seen = []
    while child.poll() is None:
        there = parts(output)
        done = sum(pq.read_metadata(part).num_rows for part in there)
        if len(there) >= len(CORES) and done > (seen[-1][0] if seen else 0):
            seen.append((done, _processor_s(child.pid)))
        time.sleep(1)  # to look takes the processor, too
    (first, before), (last, after) = seen[0], seen[-1]
    return (after - before) / (last - first)


def _processor_s(pid: int) -> float:
    """Of a process and those below it, as far as they live."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:2])
    return total


def parts(output: Path) -> list[Path]:
    """Those that are there."""
    return sorted(output.glob("part-*.parquet"))


def worker_rate(output: Path) -> float:
    """Files a second of one worker, in the median part."""
    about = [pq.read_metadata(part) for part in parts(output)]
    return median(one.num_rows / json.loads(one.metadata[METADATA])["seconds"] for one in about)


def killed(
    folder: Path, paths: Sequence[str], broken: set[str], arguments: argparse.Namespace
) -> None:
    """Kill the command halfway, and go on; what is there then."""
    output = folder / "output"
    half = len(paths) // arguments.files_per_part // 2
    began = time.monotonic()
    child = command(paths, folder, output, arguments)
    while len(parts(output)) < half and child.poll() is None:
        time.sleep(0.1)
    child.kill()
    child.wait()
    before = {part: part.stat() for part in parts(output)}
    command(paths, folder, output, arguments).wait()
    seconds = time.monotonic() - began
    after = {part: part.stat() for part in before}
    kept = sum(after[part].st_mtime_ns == was.st_mtime_ns for part, was in before.items())
    by_pandas = pd.read_parquet(output)
    by_arrow = pyarrow.dataset.dataset(output).to_table()
    errors = by_pandas["error"].notna()
    print(
        f"\n{len(paths)} files in {len(parts(output))} parts, killed after {len(before)}, "
        f"of which {kept} were left as they were\n"
        f"rows {by_arrow.num_rows} (pyarrow), {len(by_pandas)} (pandas); each path once: "
        f"{sorted(by_pandas['path']) == list(paths)}\n"
        f"errors {errors.sum()}, those of the {len(broken)} broken files: "
        f"{set(by_pandas['path'][errors]) == broken}; "
        f"captions {by_pandas['caption'].notna().sum()}\n"
        f"{by_pandas['duration_s'].sum() / 3600:.2f} hours of sound; {seconds:.0f} s with both "
        f"starts; {len(CORES) * worker_rate(output):.1f} files a second of the workers"
    )


if __name__ == "__main__":
    main()
