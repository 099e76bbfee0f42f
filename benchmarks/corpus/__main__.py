"""``python -m benchmarks.corpus``: the rate of ``audiodiff corpus``, and a run that is killed.

First the rate, by turns on the same files: captioners that are called in-process on ideal batches,
on one core and on each, and the command with a worker on each. Then the whole corpus by the
command, killed when half of the parts are there, and gone on with.
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
from pathlib import Path
from statistics import median

import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq

from benchmarks.corpus import files
from engine.corpus.folder import METADATA

ROOT = Path(__file__).resolve().parents[2]
CORES = sorted(os.sched_getaffinity(0))


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corpus", description=__doc__)
    parser.add_argument("--files", type=int, default=5000, help="in the corpus (5000)")
    parser.add_argument("--per-turn", type=int, default=1000, help="of them, in each turn (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--files-per-part", type=int, default=100, help="as the command's (100)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        broken = files.write(folder / "files", arguments.files)
        paths = sorted(str(path) for path in (folder / "files").rglob("*.*"))
        rates(folder, paths[: arguments.per_turn], arguments)
        killed(folder, paths, broken, arguments)


def rates(folder: Path, paths: Sequence[str], arguments: argparse.Namespace) -> None:
    """Files a second of each."""
    one, each = "in-process, one core", f"in-process, each of {len(CORES)} cores"
    all_of_them, corpus = f"in-process, {len(CORES)} threads", f"corpus, {len(CORES)} workers"
    found: dict[str, list[float]] = {one: [], each: [], all_of_them: [], corpus: []}
    whole = []
    for number in range(arguments.rounds):
        found[one].append(in_process(folder, [paths[: len(paths) // 2]], 1))
        found[each].append(
            in_process(folder, [paths[n :: len(CORES)] for n in range(len(CORES))], 1)
        )
        found[all_of_them].append(in_process(folder, [paths], len(CORES)))
        output = folder / f"turn-{number}"
        began = time.monotonic()
        command(paths, folder, output, arguments).wait()
        whole.append(len(paths) / (time.monotonic() - began))
        found[corpus].append(len(CORES) * worker_rate(output))
    print("| | files a second | of the cores' own |\n|---|---|---|")
    for name, turns in found.items():
        cores = 1 if name == one else len(CORES)
        share = median(turns) / (cores * median(found[one]))
        print(
            f"| {name} | {median(turns):.1f} ({min(turns):.1f} to {max(turns):.1f}) | {share:.2f} |"
        )
    print(f"| the same, with its start | {median(whole):.1f} | |")
    ratio = median(a / b for a, b in zip(found[corpus], found[each], strict=True))
    print(f"\ncorpus over in-process on each core, by rounds: {ratio:.2f}")


def in_process(folder: Path, shares: Sequence[Sequence[str]], threads: int) -> float:
    """Files a second of captioners side by side, each on cores of its own."""
    children = []
    for number, share in enumerate(shares):
        listed = folder / f"share-{number}"
        listed.write_text("\n".join(share))
        cores = CORES if threads > 1 else [CORES[number]]
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.corpus.captioner", str(listed), str(threads)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
        )
        children.append(child)
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    told = [json.loads(child.communicate()[0]) for child in children]
    return sum(one["files"] / one["seconds"] for one in told)


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
        [sys.executable, "-m", "cli", "corpus", str(manifest), *words], cwd=ROOT
    )


def parts(output: Path) -> list[Path]:
    """Those that are there."""
    return sorted(output.glob("part-*.parquet"))


def worker_rate(output: Path) -> float:
    """Files a second of one worker, while it works."""
    about = [pq.read_metadata(part) for part in parts(output)]
    seconds = sum(json.loads(one.metadata[METADATA])["seconds"] for one in about)
    return sum(one.num_rows for one in about) / seconds


def killed(
    folder: Path, paths: Sequence[str], broken: set[str], arguments: argparse.Namespace
) -> None:
    """Kill the command halfway, and go on; what is there then."""
    output = folder / "output"
    half = len(paths) // arguments.files_per_part // 2
    began = time.monotonic()
    child = command(paths, folder, output, arguments)
    while len(parts(output)) < half:
        time.sleep(0.1)
    child.kill()
    child.wait()
    before = {part: part.stat() for part in parts(output)}
    command(paths, folder, output, arguments).wait()
    seconds = time.monotonic() - began
    kept = sum((part.stat().st_ino, part.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
               for part, was in before.items())  # fmt: skip
    by_pandas = pd.read_parquet(output)
    by_arrow = pyarrow.dataset.dataset(output).to_table()
    errors = by_pandas["error"].notna()
    print(
        f"\n{len(paths)} files in {len(parts(output))} parts, killed after {len(before)}; "
        f"of these, as they were: {kept}\n"
        f"rows {by_arrow.num_rows} (pyarrow), {len(by_pandas)} (pandas), distinct paths "
        f"{by_pandas['path'].nunique()}, all that were given: "
        f"{sorted(by_pandas['path']) == list(paths)}\n"
        f"errors {errors.sum()}, those of the {len(broken)} broken files: "
        f"{set(by_pandas['path'][errors]) == broken}; "
        f"captions {by_pandas['caption'].notna().sum()}\n"
        f"{by_pandas['duration_s'].sum() / 3600:.2f} hours of sound; {seconds:.0f} s with both "
        f"starts; {len(CORES) * worker_rate(output):.1f} files a second of the workers"
    )


if __name__ == "__main__":
    main()
