"""A study's runs: a file of results per row and seed, each of which is made once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Result = dict[str, Any]


def left(
    output: Path, rows: Iterable[str], seeds: int, part: tuple[int, int]
) -> list[tuple[str, int]]:
    """Rows and seeds that have no result yet; of all runs, ``part`` (n, m) does every m-th."""
    todo = [(name, seed) for seed in range(seeds) for name in rows][part[0] :: part[1]]
    return [(name, seed) for name, seed in todo if not path(output, name, seed).exists()]


def path(output: Path, name: str, seed: int) -> Path:
    """Where the result of a run is."""
    return output / "results" / f"{name}-{seed}.json"


def folder(output: Path, name: str, seed: int) -> Path:
    """Where a run that is at work keeps its checkpoints."""
    return output / "runs" / f"{name}-{seed}"


def keep(output: Path, name: str, seed: int, found: Mapping[str, Any]) -> None:
    """Write the result of a run."""
    target = path(output, name, seed)
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"row": name, "seed": seed, **found}))


def read(output: Path, rows: Iterable[str]) -> dict[str, list[Result]]:
    """The results that there are of each of the rows, in their order, by seed."""
    found = [json.loads(each.read_text()) for each in (output / "results").glob("*.json")]
    found.sort(key=lambda one: int(one["seed"]))
    by_row = {name: [one for one in found if one["row"] == name] for name in rows}
    return {name: each for name, each in by_row.items() if each}
