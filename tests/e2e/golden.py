"""Inputs whose answers are kept in ``golden.json``: no change of the house changes them.

``python -m tests.e2e.golden URL DATA`` writes the file from a running service.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.support.audio import by_soundfile
from training.scenes.synthetic import SOUNDS, synthesize

FILE = Path(__file__).with_name("golden.json")
RATE = 16_000
Files = dict[str, bytes]
CHANGED, EXPLAINED = " <- ", " | "
"""In the name of what is asked for in style ``changes``, and ``explain``."""


def synthetic() -> dict[str, Files]:
    """Twenty-four captions and twelve differences of sounds made in code."""
    found: dict[str, Files] = {}
    names = sorted(SOUNDS)
    clips = {
        (name, seed): synthesize(name, np.random.default_rng(seed), RATE, 2.0 + seed)
        for name in names
        for seed in (1, 2)
    }
    for (name, seed), samples in clips.items():
        found[f"{name} {seed}"] = {"file": _wav(samples)}
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        both = clips[name, 1] + clips[other, 1]
        found[f"{name} + {other} - {other}"] = {
            "input": _wav(both),
            "reference": _wav(clips[other, 2]),
        }
    return found


def edited() -> dict[str, Files]:
    """Sounds made in code that are added, removed, made louder, and left as they are."""
    names = sorted(SOUNDS)[::2]
    clips = {name: synthesize(name, np.random.default_rng(7), RATE, 4.0) / 4 for name in names}
    found: dict[str, Files] = {}
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        alone, both = clips[name], clips[name].copy()
        both[RATE:] += clips[other][:-RATE]
        for what, after, before in (
            (f"{name} and {other}{CHANGED}{name}", both, alone),
            (f"{name}{CHANGED}{name} and {other}", alone, both),
            (f"{name}{CHANGED}{name}, softer", alone, alone / 4),
            (f"{name}{CHANGED}{name}", alone, alone),
        ):
            found[what] = {"input": _wav(after), "reference": _wav(before)}
    return found


def explained() -> dict[str, Files]:
    """Pairs of sounds made in code, of which the second is softer."""
    names = sorted(SOUNDS)[::2]
    clips = [synthesize(name, np.random.default_rng(9), RATE, 3.0) / 2 for name in names]
    pairs = zip(names, clips, [*names[1:], names[0]], [*clips[1:], clips[0]], strict=True)
    return {
        f"{one}{EXPLAINED}{other}": {"input": _wav(first), "reference": _wav(second / 3)}
        for one, first, other, second in pairs
    }


def recorded(esc50: Path) -> dict[str, Files]:
    """Sixteen captions and eight differences of ESC-50's fold 4, half of them not at 16 kHz."""
    with (esc50 / "meta" / "esc50.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "4"]
    ogg = [row["filename"] for row in rows if row["filename"].endswith(".ogg")][::12][:8]
    flac = [row["filename"] for row in rows if not row["filename"].endswith(".ogg")][::35][:8]
    data = {name: (esc50 / "audio" / name).read_bytes() for name in (*ogg, *flac)}
    found: dict[str, Files] = {name: {"file": content} for name, content in data.items()}
    for one, other in zip(flac, [*flac[1:], flac[0]], strict=True):
        found[f"{one} - {other}"] = {"input": data[one], "reference": data[other]}
    return found


def ask(client: httpx.Client, name: str, files: Files) -> dict[str, Any]:
    """Caption, score, and timeline or changes of one answer; an explanation is a paragraph."""
    route = "/caption" if "file" in files else "/difference"
    parts = {field: (field, data) for field, data in files.items()}
    options = {}
    if CHANGED in name:
        options = {"style": "changes"}
    elif EXPLAINED in name:
        options = {"style": "explain", "detail": "paragraph"}
    answer = client.post(route, files=parts, data=options).raise_for_status().json()
    more = {"changes": ["changes"], "explain": []}.get(options.get("style", ""), ["timeline"])
    return {key: answer[key] for key in ("caption", "score", *more) if key in answer}


def _wav(samples: np.ndarray) -> bytes:
    return by_soundfile(samples / max(1.0, float(np.abs(samples).max())), RATE)


if __name__ == "__main__":
    with httpx.Client(base_url=sys.argv[1], timeout=60) as service:
        inputs = synthetic() | edited() | explained() | recorded(Path(sys.argv[2]) / "ESC-50")
        answers = {name: ask(service, name, files) for name, files in inputs.items()}
    FILE.write_text(json.dumps(answers, indent=1) + "\n")
