"""The report's plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from training.experiments.rows import TABLES
from training.experiments.summary import EXAMPLE_ROWS

CURVES = (*EXAMPLE_ROWS, "al-mixgen", "subtraction-same-same", "mixtures-alone")

Rows = Mapping[str, dict[str, Any]]


def plot(rows: Rows, folder: Path) -> list[str]:
    """Draw into ``folder`` what there is; the names."""
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    drawn = ["learning", "gain"]
    _learning(rows, folder / "learning.png")
    _gain(rows, folder / "gain.png")
    if timelines := next((row["timelines"] for row in rows.values() if "timelines" in row), None):
        _masks(timelines, folder / "masks.png")
        drawn.append("masks")
    return drawn


def _learning(rows: Rows, path: Path) -> None:
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name in CURVES:
        if name in rows:
            left.plot(*zip(*rows[name]["losses"], strict=True), label=name)
            if rows[name]["validation"]:
                right.plot(*zip(*rows[name]["validation"], strict=True), label=name)
    left.set(xlabel="step", ylabel="training loss")
    right.set(xlabel="step", ylabel="validation loss, plain captions")
    left.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _gain(rows: Rows, path: Path) -> None:
    from matplotlib import pyplot

    gains = {
        name: row["human"]["gain"]
        for name, row in rows.items()
        if "gain" in row["human"] and name not in TABLES["rate"]
    }
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.26 * len(gains)), layout="constrained")
    for place, gain in enumerate(gains.values()):
        axes.plot([gain["low"], gain["high"]], [place, place], color="tab:blue")
        axes.plot(gain["mean"], place, "o", color="tab:blue")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_yticks(range(len(gains)), [*gains], fontsize=7)
    axes.set(xlabel="CIDEr less the baseline's, human scenes")
    axes.invert_yaxis()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _masks(timelines: list[dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(
        len(timelines), 1, figsize=(8, 1.3 * len(timelines)), layout="constrained", squeeze=False
    )
    for axes, one in zip(all_axes[:, 0], timelines, strict=True):
        axes.plot(one["kept"], drawstyle="steps-mid")
        active = [float(on) for on in one["active"]]
        axes.fill_between(range(len(active)), active, step="mid", alpha=0.25, color="tab:orange")
        axes.set_ylim(0, 1)
    axes.set(xlabel="frame")
    figure.suptitle("share kept by the mask; shaded: the reference's sound is heard")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
