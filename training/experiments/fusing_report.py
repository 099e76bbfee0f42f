"""The report of ``python -m training reproduce edtc``, beside the paper's table.

All of it is made of ``fused.json``, which stays with the documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
import numpy as np

from training.evaluation.card import between
from training.experiments import intervals
from training.experiments.fusing import ALL, BUNDLED, PROBE, ROWS
from training.experiments.fusing_material import BATCH, WIDTH
from training.experiments.runs import Result, read
from training.experiments.summary import HUMAN, thinned

START, END = "<!-- edtc -->", "<!-- /edtc -->"
NOT_RUN = "**Not run yet**: there are no results, and nothing is claimed."
METRICS = ("BLEU4", "METEOR", "ROUGE-L", "CIDEr", "Sounds-F")
COMPARED = ("CIDEr", "Sounds-F")
PAPER = {
    "efficientat": ("CNN14 + BART", 0.169, 0.405, 0.115, 0.260, 0.257),
    "mobilenet": ("HTSAT + BART", 0.178, 0.426, 0.126, 0.276, 0.274),
    "yamnet": ("ConvNeXt + BART", 0.172, 0.398, 0.122, 0.260, 0.256),
    "fuser": ("three + FUSER", 0.185, 0.463, 0.131, 0.297, 0.293),
    "best-fuser": ("HTSAT (x 3) + FUSER", 0.184, 0.454, 0.133, 0.293, 0.292),
    "fuser-translator": ("three + FUSER + TRANSLATOR", 0.186, 0.470, 0.135, 0.302, 0.297),
    "best-translator": ("HTSAT + TRANSLATOR", 0.182, 0.450, 0.133, 0.290, 0.288),
    "best-twin": ("HTSAT + twin", 0.182, 0.453, 0.132, 0.293, 0.286),
    "fuser-twin": ("three + FUSER + twin", 0.188, 0.483, 0.135, 0.309, 0.304),
}
"""Its composition there, METEOR, CIDEr, SPICE, SPIDEr and SPIDEr-FL on Clotho's evaluation."""
BEST = "the best alone"
GAINS = (
    ("the ensemble: three joined linearly over the best alone", "concat", BEST),
    ("FUSER: over joining the three linearly", "fuser", "concat"),
    ("FUSER on one encoder, three times: over it alone", "best-fuser", BEST),
    ("TRANSLATOR: behind FUSER", "fuser-translator", "fuser"),
    ("TRANSLATOR: behind the best alone", "best-translator", BEST),
    ("the twin: with FUSER", "fuser-twin", "fuser-translator"),
    ("the twin: with the best alone", "best-twin", "best-translator"),
    ("all of it: over the best alone", "fuser-twin", BEST),
)
"""What is gained, by which row over which."""
OWN = "mobilenet"
"""The row that has what the bundled checkpoint has: its encoder behind one linear map."""


def write(study: Path, docs: Path | None = None) -> Path:
    """Write ``fused.json``, ``report.md`` and curves into the study's folder; the report's path.

    With ``docs`` its ``fused.json``, ``fused.md`` and ``images`` are made new, too.
    """
    found = read(study, (BUNDLED, PROBE, *ROWS))
    probed = found.pop(PROBE, [{}])[0]
    summary = summarize([one for each in found.values() for one in each])
    summary["probe"] = {key: probed[key] for key in ("kinds", "encoders") if key in probed}
    for folder in (study, *([docs] if docs else [])):
        (folder / "fused.json").write_text(json.dumps(summary, separators=(",", ":")) + "\n")
        if summary["rows"]:
            _plot(summary["rows"], folder / "images" / "fused.png")
    (study / "report.md").write_text(text(summary) + "\n")
    if docs:
        between(docs / "fused.md", START, END, text(summary))
    return study / "report.md"


def summarize(results: Sequence[Result]) -> dict[str, Any]:
    """Of every row: seeds, mean scores, CIDEr's interval, curves; and what gains what."""
    every: dict[str, dict[int, Result]] = {name: {} for name in (BUNDLED, *ROWS)}
    for one in results:
        every[one["row"]][one["seed"]] = one
    by_row = {name: every[name] for name in ROWS}
    best = next((one["parts"][0] for one in by_row["best-translator"].values()), None)
    named = {**by_row, BEST: by_row[best] if best else {}}
    rows = {name: _row([*found.values()]) for name, found in by_row.items() if found}
    gains = [
        {"what": what, **gain}
        for what, row, other in GAINS
        if (gain := _gain(named.get(row, {}), named.get(other, {}))) is not None
    ]
    against = {
        name: _below(found, by_row[OWN])
        for name, found in by_row.items()
        if name != OWN and found.keys() & by_row[OWN].keys()
    }
    validated = {
        name: _validated(found, {} if name in (BUNDLED, OWN) else every[OWN])
        for name, found in every.items()
        if _told(found)
    }
    return {
        "best": best, "rows": rows, "gains": gains, "against": against, "validated": validated,
    }  # fmt: skip


def _told(found: Mapping[int, Result]) -> dict[int, Result]:
    """What runs said of the validation's clips."""
    return {seed: one["validated"] for seed, one in found.items() if "validated" in one}


def _validated(found: Mapping[int, Result], others: Mapping[int, Result]) -> dict[str, Any]:
    told = _told(found)
    return {
        "seeds": [*told],
        "scores": _scores([*told.values()], COMPARED),
        "tested": _scores([found[seed] for seed in told], COMPARED),
        "gain": _gain(told, _told(others)),
    }


def _scores(found: Sequence[Result], metrics: Sequence[str]) -> dict[str, float]:
    return {
        metric: round(fmean(one["scores"][HUMAN][metric] for one in found), 4) for metric in metrics
    }


def text(summary: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    rows = summary["rows"]
    if not rows:
        return NOT_RUN
    first = next(iter(rows.values()))
    return "\n".join(
        [
            f"{sum(len(row['seeds']) for row in rows.values())} runs of {first['steps']} steps of "
            f"{BATCH}, {WIDTH} wide; the weights that validated best, on {first['scenes']} human "
            f"scenes. "
            f"The best encoder alone: {summary['best'] or 'not known yet'}. 95% intervals: a "
            "bootstrap over seeds and scenes. CPU: minutes that a run learns, all cores together.",
            "",
            f"| row | seeds | {' | '.join(METRICS)} | CIDEr, 95% | validation | parameters | CPU |",
            "|---" * (len(METRICS) + 6) + "|",
            *(_line(name, row) for name, row in rows.items()),
            "",
            "What gains how much, by the same seeds and scenes:",
            "",
            f"| what | seeds | {' | '.join(COMPARED)} | CIDEr shows it |",
            "|---" * (len(COMPARED) + 3) + "|",
            *map(_gain_line, summary["gains"]),
            "",
            f"What each row's lowest loss on validation has over `{OWN}`, the bundled recipe's "
            "encoder behind one linear map, by the same seeds (negative: the row is better):",
            "",
            "| row | mean | of the seeds, from | to |",
            "|---" * 4 + "|",
            *(_against_line(name, apart) for name, apart in summary["against"].items()),
            "",
            "What is said of the validation's human scenes, and of those that are tested on; "
            f"`{BUNDLED}` is the bundled checkpoint as it is, which has learned from no scene:",
            "",
            "| row | seeds | CIDEr | Sounds-F | tested: CIDEr | tested: Sounds-F "
            f"| CIDEr over `{OWN}` | Sounds-F over `{OWN}` |",
            "|---" * 8 + "|",
            *(_validated_line(name, told) for name, told in summary["validated"].items()),
            "",
            *_probe_lines(summary.get("probe")),
            "The paper's figures (Clotho's evaluation split) and what its rows are called here:",
            "",
            "| row | the paper's | METEOR | CIDEr | SPICE | SPIDEr | SPIDEr-FL | CIDEr here |",
            "|---" * 8 + "|",
            *(_paper_line(name, rows.get(name)) for name in PAPER),
            "",
            "![Loss in training and validation, by step](images/fused.png)",
        ]
    )


def _row(found: Sequence[Result]) -> dict[str, Any]:
    first = found[0]
    cider = intervals.mean(_values(found, "CIDEr"))
    return {
        "seeds": [one["seed"] for one in found],
        "parts": first["parts"],
        "steps": first["steps"],
        "scenes": len(first["per_clip"][HUMAN]["CIDEr"]),
        "parameters": first["parameters"],
        "learnt_s": round(fmean(one["learnt_s"] for one in found)),
        "scores": _scores(found, METRICS),
        "CIDEr": _plain(cider),
        "lowest": round(fmean(map(_lowest, found)), 4),
        "losses": thinned(first["losses"]),
        "validation": first["validation"],
    }


def _gain(own: Mapping[int, Result], others: Mapping[int, Result]) -> dict[str, Any] | None:
    seeds = sorted(own.keys() & others.keys())
    if not seeds:
        return None
    first, second = ([each[seed] for seed in seeds] for each in (own, others))
    return {
        "seeds": seeds,
        **{
            metric: _plain(intervals.difference(_values(first, metric), _values(second, metric)))
            for metric in COMPARED
        },
    }


def _below(own: Mapping[int, Result], others: Mapping[int, Result]) -> list[float]:
    """By seed, what the lowest losses on validation are apart."""
    seeds = sorted(own.keys() & others.keys())
    return [round(_lowest(own[seed]) - _lowest(others[seed]), 4) for seed in seeds]


def _lowest(one: Result) -> float:
    return min(float(loss) for _, loss in one["validation"])


def _values(found: Sequence[Result], metric: str) -> intervals.Values:
    return np.array([one["per_clip"][HUMAN][metric] for one in found])


def _plain(interval: intervals.Interval) -> dict[str, float]:
    return {name: round(value, 4) for name, value in asdict(interval).items()}


def _line(name: str, row: Mapping[str, Any]) -> str:
    scores = " | ".join(f"{row['scores'][metric]:.3f}" for metric in METRICS)
    cider = f"{row['CIDEr']['low']:.3f} to {row['CIDEr']['high']:.3f}"
    return (
        f"| {name} | {len(row['seeds'])} | {scores} | {cider} | {row['lowest']:.3f} | "
        f"{row['parameters'] / 1e6:.1f}M | {row['learnt_s'] / 60:.1f} |"
    )


def _gain_cells(gain: Mapping[str, Any]) -> str:
    return " | ".join(_signed(gain[metric]) for metric in COMPARED)


def _signed(gain: Mapping[str, float]) -> str:
    return f"{gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"


def _gain_line(gain: Mapping[str, Any]) -> str:
    cider = gain["CIDEr"]
    shown = "yes" if cider["low"] > 0 else "the reverse" if cider["high"] < 0 else "no"
    return f"| {gain['what']} | {len(gain['seeds'])} | {_gain_cells(gain)} | {shown} |"


def _against_line(name: str, apart: Sequence[float]) -> str:
    return f"| {name} | {fmean(apart):+.3f} | {min(apart):+.3f} | {max(apart):+.3f} |"


def _validated_line(name: str, told: Mapping[str, Any]) -> str:
    scores = [told[split][metric] for split in ("scores", "tested") for metric in COMPARED]
    cells = " | ".join(f"{score:.3f}" for score in scores)
    gain = _gain_cells(told["gain"]) if told["gain"] else " | "
    return f"| {name} | {len(told['seeds'])} | {cells} | {gain} |"


def _probe_lines(probed: Mapping[str, Any] | None) -> list[str]:
    if not probed:
        return []
    lines = [
        f"How well a linear probe of the frames tells the {probed['kinds']} kinds apart that sound "
        "in ten training clips: label ranking average precision (mean and maximum over time, ridge "
        f"regression), and what it is above `{OWN}`'s:",
        "",
        f"| encoders | validation | over `{OWN}` | tested | over `{OWN}` |",
        "|---" * 5 + "|",
    ]
    for name, splits in probed["encoders"].items():
        cells = []
        for own in (splits["validation"], splits["test"]):
            cells += [f"{own['precision']:.3f}", "" if name == OWN else _signed(own["gain"])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _paper_line(name: str, row: Mapping[str, Any] | None) -> str:
    composition, *figures = PAPER[name]
    here = f"{row['scores']['CIDEr']:.3f}" if row else ""
    return f"| {name} | {composition} | {' | '.join(f'{each:.3f}' for each in figures)} | {here} |"


def _plot(rows: Mapping[str, Any], path: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot

    path.parent.mkdir(exist_ok=True)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, row in rows.items():
        style = ":" if name in ALL else "-"
        left.plot(*zip(*row["losses"], strict=True), style, label=name)
        right.plot(*zip(*row["validation"], strict=True), style, label=name)
    left.set(xlabel="step", ylabel="training loss (of twins, with matching)")
    right.set(xlabel="step", ylabel="validation loss")
    right.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
