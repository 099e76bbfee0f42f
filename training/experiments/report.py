"""The study's report: our figures beside the paper's, as Markdown and plots."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl
import numpy as np
from scipy.stats import t

Result = dict[str, Any]
Value = Callable[[Result], float | None]

PAPER = {
    "baseline": (0.585, 0.161, 0.179, 0.386, 0.399, 0.259),
    "al-mixgen": (0.590, 0.164, 0.180, 0.392, 0.404, 0.263),
    "subtraction-same-same": (0.593, 0.164, 0.181, 0.392, 0.403, 0.264),
    "masking-same-same": (0.606, 0.173, 0.187, 0.405, 0.431, 0.280),
    "masking-same-diff": (0.605, 0.171, 0.187, 0.405, 0.427, 0.278),
    "masking-diff-diff": (0.605, 0.168, 0.186, 0.406, 0.419, 0.273),
    "masking-multi-same": (0.606, 0.171, 0.187, 0.404, 0.419, 0.273),
    "masking-multi-diff": (0.603, 0.167, 0.184, 0.401, 0.414, 0.271),
}
"""BLEU1, BLEU4, METEOR, ROUGE-L, CIDEr and SPIDEr of tables 1 and 2, Clotho's evaluation split."""
SHOWN = ("BLEU1", "BLEU4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "SPIDEr")


def write(study: Path) -> Path:
    """Write ``report.md`` and its plots into the study's folder; the report's path."""
    results: dict[str, list[Result]] = {}
    for path in sorted((study / "results").glob("*.json")):
        results.setdefault(path.stem.rpartition("-")[0], []).append(json.loads(path.read_text()))
    ordered = {name: results[name] for name in PAPER if name in results}
    rows = {**ordered, **{name: found for name, found in results.items() if name not in ordered}}
    lines = []
    for subset in sorted({subset for one in rows.values() for subset in one[0]["scores"]}):
        lines += [f"### Plain captions, {subset} scenes", ""]
        lines += _table(rows, {metric: _of("scores", subset, metric) for metric in SHOWN})
    lines += ["### The paper's figures, on Clotho's recordings", ""]
    lines += _paper([name for name in rows if name in PAPER])
    lines += ["### Kinds of sound named in plain captions", ""]
    lines += _table(rows, {"recall": _of("plain", "recall"), "false": _of("plain", "false")})
    compared = {name: found for name, found in rows.items() if "differences" in found[0]}
    for condition in next(iter(compared.values()))[0]["differences"] if compared else ():
        lines += [f"### Mixture minus reference, {condition}", ""]
        columns = {key: _of("differences", condition, key) for key in ("recall", "leak", "false")}
        lines += _table(compared, {**columns, "AUC of the mask": _of("auc", condition)})
    lines += ["### The four cases of Table 3, aligned reference", ""]
    lines += _table(
        rows,
        {
            "in: recall": _of("plain", "recall"),
            "in+: recall": _of("in+", "recall"),
            "in+: names the added": _of("in+", "leak"),
            "in+ - ref: recall": _of("differences", "same/same", "recall"),
            "in+ - ref: leak": _of("differences", "same/same", "leak"),
            "in+ - in: recall of the added": _of("inverse", "recall"),
            "in+ - in: leak": _of("inverse", "leak"),
        },
    )
    lines += _examples(rows)
    _plot(study, rows, compared)
    (study / "report.md").write_text("\n".join(lines) + "\n")
    return study / "report.md"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95% interval (Student's t); nan of one value."""
    if len(values) < 2:
        return fmean(values), math.nan
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values), float(half)


def _of(*path: str) -> Value:
    def value(result: Result) -> float | None:
        found: Any = result
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return None if found is None else float(found)

    return value


def _table(rows: dict[str, list[Result]], columns: dict[str, Value]) -> list[str]:
    lines = [f"| row | seeds | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for name, results in rows.items():
        cells = [_cell([column(result) for result in results]) for column in columns.values()]
        lines.append(f"| {name} | {len(results)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if len(there) < len(values):
        return "n/a"
    mean, half = interval(there)
    return f"{mean:.3f}" if math.isnan(half) else f"{mean:.3f} ± {half:.3f}"


def _paper(names: Sequence[str]) -> list[str]:
    head = "| row | BLEU1 | BLEU4 | METEOR | ROUGE-L | CIDEr | SPIDEr |"
    rows = [f"| {name} | {' | '.join(f'{v:.3f}' for v in PAPER[name])} |" for name in names]
    return [head, "|---" * 7 + "|", *rows, ""]


def _examples(rows: dict[str, list[Result]]) -> list[str]:
    """What the baseline and masking say of the same clips, in each case of Table 3."""
    lines = ["### Examples", ""]
    shown = [name for name in ("baseline", "masking-same-same") if name in rows]
    told = {name: rows[name][0]["examples"] for name in shown}
    for number, example in enumerate(next(iter(told.values()), [])):
        kinds, added = ", ".join(example["kinds"]), ", ".join(example["added"])
        lines.append(f"- `{example['clip']}`: {kinds}; added: {added}")
        lines += [
            f"  - {case}, {name}: {examples[number][case]}"
            for case in ("in", "in+", "in+ - ref", "in+ - in")
            for name, examples in told.items()
            if case in examples[number]
        ]
    return [*lines, ""]


def _plot(study: Path, rows: dict[str, list[Result]], compared: dict[str, list[Result]]) -> None:
    """``learning.png``, ``conditions.png`` and ``masks.png``."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4), layout="constrained")
    for name, results in rows.items():
        steps = [step for step, _ in results[0]["losses"]]
        curves = [[loss for _, loss in result["losses"]] for result in results]
        axes.plot(steps, np.mean(curves, axis=0), label=name)
    axes.set(xlabel="step", ylabel="training loss")
    axes.legend(fontsize=7)
    figure.savefig(study / "learning.png", dpi=110)
    pyplot.close(figure)

    subsets = sorted({subset for one in rows.values() for subset in one[0]["scores"]})
    figure, all_axes = pyplot.subplots(1, len(subsets), figsize=(11, 4), layout="constrained")
    for axes, subset in zip(np.atleast_1d(all_axes), subsets, strict=True):
        found = [
            interval([result["scores"][subset]["CIDEr"] for result in results])
            for results in rows.values()
        ]
        axes.errorbar([m for m, _ in found], range(len(rows)), xerr=[h for _, h in found], fmt="o")
        axes.set_yticks(range(len(rows)), [*rows], fontsize=7)
        axes.set(title=f"CIDEr, {subset}")
        axes.invert_yaxis()
    figure.savefig(study / "conditions.png", dpi=110)
    pyplot.close(figure)

    if "masking-same-diff" not in compared:
        return
    timelines = compared["masking-same-diff"][0]["timelines"]
    figure, all_axes = pyplot.subplots(
        len(timelines), 1, figsize=(8, 1.3 * len(timelines)), layout="constrained"
    )
    for axes, one in zip(all_axes, timelines, strict=True):
        axes.plot(one["kept"], drawstyle="steps-post")
        active = np.asarray(one["active"], float)
        axes.fill_between(range(len(active)), active, step="post", alpha=0.25, color="tab:orange")
        axes.set_ylim(0, 1)
    figure.suptitle("share kept by the mask; shaded: the reference's sound is heard")
    figure.savefig(study / "masks.png", dpi=110)
    pyplot.close(figure)
