"""What a study's results come to: the figures that its report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

import numpy as np

from training.experiments import intervals
from training.experiments.rows import TABLES, rows_of

METRICS = ("BLEU1", "BLEU4", "METEOR", "ROUGE-L", "CIDEr", "Sounds-F")
BASELINE = "baseline"
HUMAN = "human"
CURVE = 20
"""Points of a learning curve."""
EXAMPLES = 6
VARIED = "masking-same-same"
"""What the rows of factors vary one thing of."""
EXAMPLE_ROWS = (BASELINE, VARIED)
PAIRS = (
    ("masking over subtraction", "masking-same-same", "subtraction-same-same"),
    ("masking over the same mixtures without references", "masking-same-same", "mixtures-alone"),
    ("subtraction over the same mixtures without references", "subtraction-same-same",
     "mixtures-alone"),
    ("mixtures without references over none", "mixtures-alone", BASELINE),
    ("the encoder learning: masking over none", "masking-learning", "baseline-learning"),
    ("no mixtures: the encoder learning over frozen", "baseline-learning", BASELINE),
    ("half of the clips: masking over none", "masking-half", "baseline-half"),
    ("half of the clips: subtraction over none", "subtraction-half", "baseline-half"),
    ("half of the clips: mixtures without references over none", "mixtures-half", "baseline-half"),
    ("a quarter of the clips: masking over none", "masking-quarter", "baseline-quarter"),
    ("a quarter of the clips: subtraction over none", "subtraction-quarter", "baseline-quarter"),
    ("a quarter of the clips: mixtures without references over none", "mixtures-quarter",
     "baseline-quarter"),
    ("a quarter of the clips: subtraction over the same mixtures without references",
     "subtraction-quarter", "mixtures-quarter"),
)  # fmt: skip
"""What is compared besides: which row with which."""

Result = dict[str, Any]


def summarize(results: Sequence[Result]) -> dict[str, Any]:
    """Of every row: seeds, mean scores, and CIDEr less the baseline's with its interval.

    ``human`` and, as a control, ``grammar`` are of the last weights; ``best`` of those that
    validated best, on human scenes.
    """
    by_row: dict[str, list[Result]] = {}
    for one in sorted(results, key=lambda one: int(one["seed"])):
        by_row.setdefault(one["row"], []).append(one)
    ordered = rows_of([*TABLES])
    rows = {row: _row(by_row[row], by_row) for row in ordered if row in by_row}
    for row in rows:
        if row != VARIED and (apart := _pair(by_row, row, VARIED)):
            rows[row]["apart"] = apart
    found = {what: _pair(by_row, row, other) for what, row, other in PAIRS}
    pairs = {what: pair for what, pair in found.items() if pair}
    return {"rows": rows, "pairs": pairs, "examples": _examples(by_row)}


def _pair(by_row: Mapping[str, Sequence[Result]], row: str, other: str) -> dict[str, Any] | None:
    """CIDEr of human scenes less that of another row by the same seeds; None if it has none."""
    own, others = by_row.get(row, ()), by_row.get(other, ())
    seeds = sorted({one["seed"] for one in own} & {one["seed"] for one in others})
    if not seeds:
        return None
    first, second = ([one for one in each if one["seed"] in seeds] for each in (own, others))
    apart = intervals.difference(_cider(first, HUMAN), _cider(second, HUMAN))
    return {"seeds": seeds, **_plain(apart)}


def _row(own: Sequence[Result], by_row: Mapping[str, Sequence[Result]]) -> dict[str, Any]:
    first = own[0]
    found: dict[str, Any] = {
        "seeds": [one["seed"] for one in own],
        "settings": first["settings"],
        "steps": first["steps"],
        "cpu_s": round(fmean(one["cpu_s"] for one in own)),
        "losses": thinned(first["losses"]),
        "validation": [
            [step, round(fmean(one["validation"][n][1] for one in own), 4)]
            for n, (step, _) in enumerate(first["validation"])
        ],
        "plain": _mean([one["plain"] for one in own]),
        "in": _mean([one["in"] for one in own]),
        "in+": _mean([one["in+"] for one in own]),
    }
    compared = [one for one in by_row.get(BASELINE, ()) if one["seed"] in found["seeds"]]
    for subset in first["scores"]:
        found[subset] = _scored(own, compared, subset)
    if "best" in first:
        weights = [one["best"] for one in own]
        found["best"] = _scored(weights, [one["best"] for one in compared], HUMAN)
        found["best"]["step"] = round(fmean(one["step"] for one in weights))
    for key in ("differences", "inverse", "auc"):
        if key in first:
            found[key] = _mean([one[key] for one in own])
    if asked := [one for one in own if "other" in one]:
        found["other"] = {
            "seeds": len(asked),
            "in+": _mean([one["in+"] for one in asked]),
            "in+ - other": _mean([one["other"] for one in asked]),
            "in+ - ref": _mean([one["differences"]["same/same"] for one in asked]),
        }
    if "timelines" in first:
        found["timelines"] = first["timelines"]
    return found


def _scored(own: Sequence[Result], compared: Sequence[Result], subset: str) -> dict[str, Any]:
    """Mean scores; CIDEr's interval; and what it is above that of the same seeds' baseline."""
    values = _cider(own, subset)
    found: dict[str, Any] = {
        "scores": {
            metric: round(fmean(one["scores"][subset][metric] for one in own), 4)
            for metric in METRICS
        },
        "CIDEr": _plain(intervals.mean(values)),
    }
    if len(compared) == len(own) and compared != own:
        found["gain"] = _plain(intervals.difference(values, _cider(compared, subset)))
    return found


def _cider(results: Sequence[Result], subset: str) -> intervals.Values:
    return np.array([one["per_clip"][subset]["CIDEr"] for one in results])


def _plain(interval: intervals.Interval) -> dict[str, float]:
    own = {**asdict(interval), "visible": interval.visible}
    return {name: round(value, 4) for name, value in own.items()}


def _mean(found: Sequence[Any]) -> Any:
    """Of nested figures."""
    if isinstance(found[0], dict):
        return {key: _mean([one[key] for one in found]) for key in found[0]}
    return round(fmean(found), 4)


def thinned(curve: Sequence[Any]) -> list[Any]:
    """Means of as many neighbours as leave ``CURVE`` points."""
    size = max(1, len(curve) // CURVE)
    cut = [curve[n : n + size] for n in range(0, len(curve) - size + 1, size)]
    return [[some[-1][0], round(fmean(loss for _, loss in some), 3)] for some in cut]


def _examples(by_row: Mapping[str, Sequence[Result]]) -> list[dict[str, Any]]:
    """Scenes evenly out of those that are compared, and what is said in each case of Table 3."""
    shown = {row: by_row[row][0] for row in EXAMPLE_ROWS if row in by_row}
    if not shown:
        return []
    scenes = next(iter(shown.values()))["scenes"]
    numbers = np.linspace(0, len(scenes) - 1, min(EXAMPLES, len(scenes))).astype(int)
    return [
        {
            **scenes[n],
            "said": {
                row: {
                    case: one["captions"][key][n]
                    for case, key in CASES.items()
                    if key in one["captions"]
                }
                for row, one in shown.items()
            },
        }
        for n in numbers.tolist()
    ]


CASES = {"in": "in", "in+": "in+", "in+ - ref": "same/same", "in+ - in": "in+ - in"}
"""Table 3's, and what they are called in the results."""
