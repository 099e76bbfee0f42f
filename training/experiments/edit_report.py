"""The report of ``python -m training reproduce adc``: tables, claims, and where attention lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.stats import t

from training.evaluation.card import between
from training.experiments.edits import ROWS, STEPS, TESTING, TRAINING
from training.experiments.runs import Result, read

Value = Callable[[Result], float | None]
SHOWN = ("BLEU4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "SPIDEr")
PLOTTED = ("plain", "cac", "cac-late-1")
IMAGE = "attention.png"
SEEN = "Attention of the decoder to both clips, frame by frame; grey: what the edit changes"
START, END = "<!-- adc -->", "<!-- /adc -->"
LATE = [f"cac-late-{weight}" for weight in ("0.5", "1", "2")]
EARLY = [name.replace("late", "early") for name in LATE]
CLAIMS = (
    ("attention to the other clip alone over attention to both", ["cac"], ["plain"]),
    ("late disentanglement over none", LATE, ["cac"]),
    ("late over early", LATE, EARLY),
    ("early over none", EARLY, ["cac"]),
    ("this block over one that sees what the input has alone", ["cac"], ["masking"]),
)
"""What is claimed, and the rows that it is about; several are averaged, seed by seed."""


def write(study: Path, page: Path | None = None) -> Path:
    """Write ``report.md`` and its plots into the study's folder; the report's path.

    With ``page`` its text goes there, too, between the marks of it.
    """
    results = read(study, ROWS)
    runs = sum(map(len, results.values()))
    text = "\n".join(
        [
            f"{runs} runs of {STEPS} steps each; {TRAINING} pairs to train on, of ESC-50's folds 1 "
            f"to 3, and {sum(TESTING.values())} of fold 5 to test on. Mean and 95% interval "
            "(Student's t) over seeds.",
            "",
            "Operations right, and sounds given the operation (pairs of one edit):",
            "",
            *_table(results, {
                **{name: _of("operation", name) for name in ("all", *TESTING)},
                "sound": _of("sound"), "focus": _of("focus"),
            }),
            "`focus`: how many times as much of the decoder's attention a frame gets that the edit "
            "changes, of the clip that has the sound, as any of its frames does.",
            "",
            "Metrics of the field, against the grammar's sentence:",
            "",
            *_table(results, {name: _of("scores", name) for name in SHOWN}),
            "The paper's claims, as differences of the share of operations that are right, seed by "
            "seed:",
            "",
            *_claims(results),
        ]
    )  # fmt: skip
    report = study / "report.md"
    report.write_text(f"{text}{_drawn(study / IMAGE, results)}\n")
    if page is not None:
        image = page.parent / "images" / f"changes-{IMAGE}"
        between(page, START, END, text + _drawn(image, results, "images/"))
    return report


def _table(results: dict[str, list[Result]], columns: dict[str, Value]) -> list[str]:
    lines = [f"| row | seeds | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for name, found in results.items():
        cells = [_cell([column(one) for one in found]) for column in columns.values()]
        lines.append(f"| {name} | {len(found)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _of(*path: str) -> Value:
    def value(result: Result) -> float | None:
        found: Any = result
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None else float(found)

    return value


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95% interval (Student's t); nan of one value."""
    if len(values) < 2:
        return fmean(values), math.nan
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values), float(half)


def _cell(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there or len(there) < len(values):
        return ""
    mean, half = _interval(there)
    return f"{mean:.3f}" if np.isnan(half) else f"{mean:.3f} ± {half:.3f}"


def _claims(results: dict[str, list[Result]]) -> list[str]:
    lines = ["| claim | difference | seeds | |", "|---|---|---|---|"]
    for claim, ones, others in CLAIMS:
        first, second = (_by_seed(results, names) for names in (ones, others))
        apart = [first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())]
        if not apart:
            continue
        mean, half = _interval(apart)
        shows = "not to be told of one seed"
        if not np.isnan(half):
            shows = "does not show" if abs(mean) <= half else "shows" if mean > 0 else "the reverse"
        lines.append(f"| {claim} | {_cell(apart)} | {len(apart)} | {shows} |")
    return lines


def _by_seed(results: dict[str, list[Result]], names: Sequence[str]) -> dict[int, float]:
    """Seed -> the share of operations right, the mean over rows; of seeds that all of them have."""
    found = [
        {one["seed"]: one["operation"]["all"] for one in results.get(name, ())} for name in names
    ]
    seeds = set.intersection(*(set(one) for one in found))
    return {seed: float(np.mean([one[seed] for one in found])) for seed in seeds}


def _drawn(image: Path, results: dict[str, list[Result]], folder: str = "") -> str:
    """A link to ``image``, drawn: attention to both clips' frames, and those that are changed."""
    rows = [name for name in PLOTTED if results.get(name)]
    if not rows:
        return ""
    image.parent.mkdir(exist_ok=True)
    mpl.use("Agg")
    from matplotlib import pyplot

    pairs = len(results[rows[0]][0]["attention"])
    figure, all_axes = pyplot.subplots(
        pairs, 2, figsize=(9, 1.8 * pairs), layout="constrained", sharey="row", squeeze=False
    )
    for number in range(pairs):
        for axes, clip in zip(all_axes[number], ("before", "after"), strict=True):
            for name in rows:
                axes.plot(results[name][0]["attention"][number][clip], label=name)
            one = results[rows[0]][0]["attention"][number]
            has = "before" if one["told"].startswith("remove") else "after"
            for frame, changed in enumerate(one["apart"]):
                if changed and clip == has:
                    axes.axvspan(frame - 0.5, frame + 0.5, color="0.85", zorder=0)
            axes.set_title(f"{clip}: {one['told']}", fontsize=8)
    all_axes[0][0].legend(fontsize=7)
    figure.supxlabel("encoder frame", fontsize=8)
    figure.savefig(image, dpi=110)
    pyplot.close(figure)
    return f"\n\n![{SEEN}]({folder}{image.name})"
