"""Results of ``training.evaluate`` as tables, and into a model card."""

from __future__ import annotations

import json
from pathlib import Path

from training.evaluate import FIGURES

START, END = "<!-- scores -->", "<!-- /scores -->"


def scores(results_path: Path) -> str:
    """The figures and the scores by kind as Markdown."""
    results = json.loads(results_path.read_text())
    folds = ", ".join(map(str, results["folds"]))
    lines = [
        f"Fold {folds} of ESC-50, through the HTTP API, seed {results['seed']}, "
        f"revision `{results['model']['revision']}`:",
        "",
        "| figure | share | 95% interval | leak | cases |",
        "|---|---|---|---|---|",
    ]
    for figure, title in FIGURES.items():
        row = results["figures"][figure]
        leak = (
            f"{row['leak']:.3f}"
            if figure in ("aligned", "shifted", "other clip", "inverse")
            else ""
        )
        lines.append(
            f"| {title} | {row['right']:.3f} | {row['low']:.3f} to {row['high']:.3f} "
            f"| {leak} | {row['cases']:.0f} |"
        )
    columns = ("single", "aligned", "shifted", "other clip", "inverse")
    lines += ["", "By kind (share right):", "", "| kind | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for kind, row in results["kinds"].items():
        cells = (f"{row[column]:.2f}" if column in row else "" for column in columns)
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def into_card(card: Path, results_path: Path) -> None:
    """Replace what stands between the score marks of a model card.

    Raises:
        ValueError: the card has no such marks.
    """
    text = card.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{card} needs the marks {START} and {END}")
    table = scores(results_path)
    card.write_text(f"{before}{START}\n{table}\n{END}{after}", encoding="utf-8")
