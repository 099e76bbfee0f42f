"""Measures a served checkpoint on ESC-50 through its HTTP API: what is named, what leaks.

Shapes: S samples.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from tqdm import tqdm

from training.captions.kinds import ESC10
from training.datasets.esc50 import read as esc50
from training.datasets.recording import Recording, Samples
from training.evaluation.naming import Naming, shares
from training.scenes.algorithm1 import CONDITIONS, Addition, mix

SAMPLE_RATE = 16_000
LATEST = 0.5
"""Recordings are added within the first half, so that at least 2.5 s of them are left."""

FIGURES = {
    "single": "captions naming the right sound",
    "single, ESC-10": "the same, ESC-10 classes only",
    "aligned": "mixture minus aligned reference names what stays",
    "shifted": "reference shifted in time: names what stays",
    "other clip": "other clip of the same class as reference: names what stays",
    "inverse": "mixture minus the original names the added sound",
    "equal": "input = reference: names no sound",
}


@dataclass(frozen=True)
class Case:
    """One request and what its caption should and should not name."""

    figure: str
    name: str
    make: Callable[[], dict[str, bytes]]
    """The files of the request, by field: made when it is sent."""
    wanted: str | None
    """The kind that the caption should name; None: it should name no sound at all."""
    unwanted: str | None = None

    def judge(self, caption: str) -> Naming:
        """What the caption names of it."""
        wanted, unwanted = (frozenset({k} if k else ()) for k in (self.wanted, self.unwanted))
        return Naming(caption, wanted, unwanted)


Judged = tuple[Case, Naming]


def cases(recordings: Sequence[Recording], audio: Path, seed: int) -> list[Case]:
    """Every figure's cases over ``recordings``, each once as the original."""
    rng = np.random.default_rng(seed)
    return [
        case for one in recordings for case in _cases_of(one, recordings, audio / one.name, rng)
    ]


def _cases_of(
    original: Recording, recordings: Sequence[Recording], file: Path, rng: np.random.Generator
) -> list[Case]:
    """The cases whose original is stored in ``file``."""
    kind = original.kind
    added = _pick(recordings, rng, lambda other: other.kind != kind)
    another = _pick(recordings, rng, lambda o: o.kind == added.kind and o.name != added.name)
    addition = Addition(added.kind, added.samples, lambda: another.samples)
    place = int(rng.integers(2**31))
    mixed = partial(_mixed, original.samples, addition, place)
    name = f"{original.name} + {added.name}"
    return [
        Case(
            "single, ESC-10" if kind in ESC10 else "single",
            original.name,
            lambda: {"file": file.read_bytes()},
            kind,
        ),
        Case(
            "equal",
            original.name,
            lambda: {"input": file.read_bytes(), "reference": file.read_bytes()},
            None,
        ),
        Case("aligned", name, partial(mixed, "same/same"), kind, added.kind),
        Case("shifted", name, partial(mixed, "same/diff"), kind, added.kind),
        Case("other clip", name, partial(mixed, "diff/diff"), kind, added.kind),
        Case("inverse", name, partial(mixed, "same/same", original.samples), added.kind, kind),
    ]


def _pick(
    recordings: Sequence[Recording], rng: np.random.Generator, fits: Callable[[Recording], bool]
) -> Recording:
    fitting = [one for one in recordings if fits(one)]
    return fitting[int(rng.integers(len(fitting)))]


def _mixed(
    original: Samples,
    addition: Addition,
    place: int,
    condition: str,
    reference: Samples | None = None,
) -> dict[str, bytes]:
    """Algorithm 1 with ``t_add`` decided by ``place`` alone: one mixture, several references."""
    rng = np.random.default_rng(place)
    mixture = mix(original, lambda: addition, CONDITIONS[condition], rng, LATEST)
    return {
        "input": wav(mixture.input),
        "reference": wav(mixture.reference if reference is None else reference),
    }


def wav(samples: Samples) -> bytes:
    """[S] -> a 16-bit WAV file; softer where it would clip."""
    buffer = io.BytesIO()
    scaled = samples / max(1.0, float(np.abs(samples).max(initial=0.0)))
    soundfile.write(buffer, scaled, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def ask(url: str, todo: Sequence[Case], clients: int = 8) -> Iterator[Judged]:
    """Send the cases from ``clients`` threads; waits and tries again where the service is full.

    Raises:
        httpx.HTTPStatusError: the service refused a request for another reason.
    """
    with httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(clients) as pool:

        def send(case: Case) -> Judged:
            files = case.make()
            path = "/caption" if "file" in files else "/difference"
            while True:
                response = client.post(path, files={k: (f"{k}.bin", v) for k, v in files.items()})
                if response.status_code not in (429, 503):
                    break
                time.sleep(float(response.headers.get("Retry-After", 1)))
            response.raise_for_status()
            return case, case.judge(response.json()["caption"])

        yield from tqdm(pool.map(send, todo), total=len(todo), desc="captions")


def summarize(judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Figure -> its ``shares``; the ESC-10 recordings count among the single ones, too."""
    groups: dict[str, list[Naming]] = {figure: [] for figure in FIGURES}
    for case, naming in judged:
        groups[case.figure].append(naming)
    groups["single"] += groups["single, ESC-10"]
    return {figure: shares(namings) for figure, namings in groups.items() if namings}


def by_kind(judged: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Kind -> figure -> share right, for the figures that want a kind."""
    table: dict[str, dict[str, list[bool]]] = {}
    for case, naming in judged:
        if case.wanted:
            figure = case.figure.removesuffix(", ESC-10")
            table.setdefault(case.wanted, {}).setdefault(figure, []).append(naming.right)
    return {
        kind: {figure: sum(rights) / len(rights) for figure, rights in figures.items()}
        for kind, figures in sorted(table.items())
    }


def evaluate(url: str, root: Path, folds: Sequence[int], seed: int, output: Path) -> None:
    """Measure the service at ``url`` on ``folds`` of ESC-50 and write ``output`` (JSON)."""
    info = httpx.get(f"{url}/info", timeout=30).raise_for_status().json()
    recordings = esc50.load(root, folds, SAMPLE_RATE)
    judged = list(ask(url, cases(recordings, root / "audio", seed)))
    results = {
        "model": info["model"],
        "folds": list(folds),
        "seed": seed,
        "figures": summarize(judged),
        "kinds": by_kind(judged),
        "answers": [_record(case, naming) for case, naming in judged],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1))


def _record(case: Case, naming: Naming) -> dict[str, Any]:
    return {
        "figure": case.figure,
        "name": case.name,
        "wanted": case.wanted,
        "unwanted": case.unwanted,
        "caption": naming.caption,
        "named": naming.named,
    }
