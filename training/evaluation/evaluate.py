"""Measures a served checkpoint on ESC-50 through its HTTP API: what is named, what leaks.

Shapes: S samples.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import soundfile
from tqdm import tqdm

from training.captions.lexicon import kinds_named
from training.datasets.esc50 import read as esc50
from training.datasets.esc50.read import Clip
from training.scenes.algorithm1 import CONDITIONS, Recording, mix
from training.scenes.augment import Samples

SAMPLE_RATE = 16_000
LATEST = 0.5
"""Recordings are added within the first half, so that at least 2.5 s of them are left."""


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


@dataclass(frozen=True)
class Answer:
    """What the service said to a case."""

    figure: str
    name: str
    wanted: str | None
    unwanted: str | None
    caption: str
    named: tuple[str, ...]

    @property
    def right(self) -> bool:
        """The wanted kind is named; or no sound, if none is wanted."""
        return self.wanted in self.named if self.wanted else not self.named

    @property
    def leaks(self) -> bool:
        """The unwanted kind is named all the same."""
        return self.unwanted in self.named


FIGURES = {
    "single": "captions naming the right sound",
    "single, ESC-10": "the same, ESC-10 classes only",
    "aligned": "mixture minus aligned reference names what stays",
    "shifted": "reference shifted in time: names what stays",
    "other clip": "other clip of the same class as reference: names what stays",
    "inverse": "mixture minus the original names the added sound",
    "equal": "input = reference: names no sound",
}


def cases(clips: Sequence[Clip], audio: Path, seed: int) -> list[Case]:
    """Every figure's cases over ``clips``, each clip once as the original."""
    rng = np.random.default_rng(seed)
    return [case for clip in clips for case in _cases_of(clip, clips, audio / clip.name, rng)]


def _cases_of(
    clip: Clip, clips: Sequence[Clip], file: Path, rng: np.random.Generator
) -> list[Case]:
    """The cases whose original is ``clip``, stored in ``file``."""
    added = _other(clips, rng, lambda other: other.kind != clip.kind)
    another = _other(
        clips, rng, lambda other: other.kind == added.kind and other.name != added.name
    )
    recording = Recording(added.kind, added.samples, lambda: another.samples)
    place = int(rng.integers(2**31))
    mixed = partial(_mixed, clip, recording, place)
    name = f"{clip.name} + {added.name}"
    return [
        Case(
            "single, ESC-10" if clip.esc10 else "single",
            clip.name,
            lambda: {"file": file.read_bytes()},
            clip.kind,
        ),
        Case(
            "equal",
            clip.name,
            lambda: {"input": file.read_bytes(), "reference": file.read_bytes()},
            None,
        ),
        Case("aligned", name, partial(mixed, "same/same"), clip.kind, added.kind),
        Case("shifted", name, partial(mixed, "same/diff"), clip.kind, added.kind),
        Case("other clip", name, partial(mixed, "diff/diff"), clip.kind, added.kind),
        Case("inverse", name, partial(mixed, "same/same", clip.samples), added.kind, clip.kind),
    ]


def _other(clips: Sequence[Clip], rng: np.random.Generator, fits: Callable[[Clip], bool]) -> Clip:
    fitting = [clip for clip in clips if fits(clip)]
    return fitting[int(rng.integers(len(fitting)))]


def _mixed(
    clip: Clip,
    recording: Recording,
    place: int,
    condition: str,
    reference: Samples | None = None,
) -> dict[str, bytes]:
    """Algorithm 1 with ``t_add`` decided by ``place`` alone: one mixture, several references."""
    mixture = mix(
        clip.samples,
        lambda: recording,
        CONDITIONS[condition],
        np.random.default_rng(place),
        LATEST,
    )
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


def ask(url: str, todo: Sequence[Case], clients: int = 8) -> Iterator[Answer]:
    """Send the cases from ``clients`` threads; waits and tries again where the service is full.

    Raises:
        httpx.HTTPStatusError: the service refused a request for another reason.
    """
    with httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(clients) as pool:

        def send(case: Case) -> Answer:
            files = case.make()
            path = "/caption" if "file" in files else "/difference"
            while True:
                response = client.post(path, files={k: (f"{k}.bin", v) for k, v in files.items()})
                if response.status_code not in (429, 503):
                    break
                time.sleep(float(response.headers.get("Retry-After", 1)))
            response.raise_for_status()
            caption = response.json()["caption"]
            named = tuple(mention.kind for mention in kinds_named(caption))
            return Answer(case.figure, case.name, case.wanted, case.unwanted, caption, named)

        yield from tqdm(pool.map(send, todo), total=len(todo), desc="captions")


def summarize(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Figure -> share right, its 95% interval (Wilson), share of leaks, number of cases."""
    groups = {figure: [a for a in answers if a.figure == figure] for figure in FIGURES}
    groups["single"] = groups["single"] + groups["single, ESC-10"]
    return {
        figure: {
            "right": sum(a.right for a in group) / len(group),
            "low": wilson(sum(a.right for a in group), len(group))[0],
            "high": wilson(sum(a.right for a in group), len(group))[1],
            "leak": sum(a.leaks for a in group) / len(group),
            "cases": len(group),
        }
        for figure, group in groups.items()
        if group
    }


def by_kind(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Kind -> figure -> share right, for the figures that want a kind."""
    table: dict[str, dict[str, list[bool]]] = {}
    for answer in answers:
        if answer.wanted:
            figure = answer.figure.removesuffix(", ESC-10")
            table.setdefault(answer.wanted, {}).setdefault(figure, []).append(answer.right)
    return {
        kind: {figure: sum(rights) / len(rights) for figure, rights in figures.items()}
        for kind, figures in sorted(table.items())
    }


def wilson(successes: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return (centre - spread) / scale, (centre + spread) / scale


def evaluate(url: str, root: Path, folds: Sequence[int], seed: int, output: Path) -> None:
    """Measure the service at ``url`` on ``folds`` of ESC-50 and write ``output`` (JSON)."""
    info = httpx.get(f"{url}/info", timeout=30).raise_for_status().json()
    clips = esc50.load(root, folds, SAMPLE_RATE)
    answers = list(ask(url, cases(clips, root / "audio", seed)))
    results = {
        "model": info["model"],
        "folds": list(folds),
        "seed": seed,
        "figures": summarize(answers),
        "kinds": by_kind(answers),
        "answers": [asdict(answer) for answer in answers],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1))
