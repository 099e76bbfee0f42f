"""Measures a served checkpoint through its HTTP API, row by row of ``rows.ROWS``."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from tqdm import tqdm

from training.captions.naming import Naming
from training.evaluation.material import Material
from training.evaluation.row import Answer, Case, Files, Row
from training.evaluation.rows import ROWS

TIMEOUT_S = 120


class Service(AbstractContextManager["Service"]):
    """The service at a URL. What was asked is not asked again."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._answers: dict[bytes, Answer] = {}

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def info(self) -> Mapping[str, Any]:
        """What ``GET /info`` says."""
        found: dict[str, Any] = self._client.get("/info").raise_for_status().json()
        return found

    def ask(self, cases: Sequence[Case], clients: int) -> Iterator[tuple[Case, list[Answer]]]:
        """Send the cases from ``clients`` threads.

        Raises:
            httpx.HTTPStatusError: the service refused a request, and not because it is full.
        """
        with ThreadPoolExecutor(clients) as pool:
            yield from pool.map(lambda case: (case, [*map(self._ask, case.make())]), cases)

    def _ask(self, files: Files) -> Answer:
        digest = hashlib.sha256()
        for field, value in files.items():
            data = value.encode() if isinstance(value, str) else value
            digest.update(f"{field} {len(data)} ".encode() + data)
        key = digest.digest()
        if key not in self._answers:
            self._answers[key] = self._post(files)
        return self._answers[key]

    def _post(self, files: Files) -> Answer:
        path = "/caption" if "file" in files else "/difference"
        parts = {
            field: (f"{field}.bin", data)
            for field, data in files.items()
            if isinstance(data, bytes)
        }
        options = {field: text for field, text in files.items() if isinstance(text, str)}
        while True:
            response = self._client.post(path, files=parts, data=options)
            if response.status_code not in (429, 503):
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer


def chosen(patterns: Sequence[str]) -> list[Row[Any]]:
    """The rows that any of the patterns names, as "real*"; all if there is none.

    Raises:
        ValueError: a pattern names none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ROWS):
            raise ValueError(f"no row is called {pattern}: there are {', '.join(ROWS)}")
    return [
        row
        for name, row in ROWS.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    ]


def evaluate(
    url: str,
    material: Material,
    rows: Sequence[Row[Any]],
    output: Path,
    *,
    limit: int | None = None,
    command: str = "",
) -> None:
    """Measure ``rows`` of the service at ``url`` and write ``output`` (JSON) after each.

    Rows that are there already, of the same model and seed, stay. ``limit``: cases of each row,
    drawn at random. A row whose data is missing is left out, which is said.
    """
    with Service(url) as service:
        info = service.info()
        styles = info.get("styles", {"rest": info["model"]})
        results = _started(output, styles, material.seed)
        if command not in results["commands"]:
            results["commands"].append(command)
        for row in rows:
            if row.style not in styles:
                tqdm.write(f"{row.name} is left out: the service tells nothing in its style")
                continue
            try:
                cases = _drawn(row.cases(material), limit, material.seed)
            except FileNotFoundError as error:
                tqdm.write(f"{row.name} is left out: {error}")
                continue
            asked = service.ask(cases, row.clients)
            judged = [
                (case, answers, row.judge(case, answers))
                for case, answers in tqdm(asked, total=len(cases), desc=row.name)
            ]
            verdicts = [verdict for _, _, verdict in judged if verdict is not None]
            if verdicts:
                results["figures"][row.name] = asdict(row.total(verdicts))
                results["answers"][row.name] = [_record(*each) for each in judged]
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(json.dumps(results, indent=1))
            else:
                tqdm.write(f"{row.name} is left out: the service does not answer it")


def _started(output: Path, styles: Mapping[str, Mapping[str, str]], seed: int) -> dict[str, Any]:
    first = next(iter(styles.values()))
    same = {"model": first, "styles": styles, "seed": seed}
    fresh = {**same, "commands": [], "figures": {}, "answers": {}}
    if output.is_file():
        before: dict[str, Any] = json.loads(output.read_text())
        if before.keys() == fresh.keys() and all(before[key] == same[key] for key in same):
            return before
    return fresh


def _drawn(cases: Sequence[Case], limit: int | None, seed: int) -> list[Case]:
    if limit is None or limit >= len(cases):
        return list(cases)
    order = np.random.default_rng(seed).permutation(len(cases))[:limit]
    return [cases[i] for i in sorted(order.tolist())]


def _record(case: Case, answers: Sequence[Answer], verdict: object) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": case.name,
        "captions": [answer["caption"] for answer in answers],
    }
    if case.kind:
        record |= {"kind": case.kind, "other": case.other}
    if isinstance(verdict, Naming):
        record |= {"named": verdict.named, "right": verdict.right, "leaks": verdict.leaks}
    elif isinstance(verdict, bool | int | float):
        record["verdict"] = verdict
    return record
