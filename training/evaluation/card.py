"""Results of ``training.evaluation.over_http`` as tables, and into a model card."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.evaluation.over_http import FIGURES

START, END = "<!-- scores -->", "<!-- /scores -->"


def scores(results_path: Path) -> str:
    """The figures, the scores by kind and forty examples as Markdown."""
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
    return "\n".join(lines + examples(results["answers"], results["seed"]))


def examples(answers: Sequence[Mapping[str, str]], seed: int, count: int = 40) -> list[str]:
    """A table of ``count`` recordings drawn at random and what was said of them, as it came out."""
    said = {(a["figure"].removesuffix(", ESC-10"), a["name"].split(" + ")[0]): a for a in answers}
    names = sorted(name for figure, name in said if figure == "single")
    drawn = random.Random(seed).sample(names, min(count, len(names)))
    lines = [
        "",
        f"{len(drawn)} recordings drawn at random, as the answers came out:",
        "",
        "| recording | its caption | mixed with | the mixture minus that | minus the recording |",
        "|---|---|---|---|---|",
    ]
    for name in drawn:
        single, aligned, inverse = (said[f, name] for f in ("single", "aligned", "inverse"))
        lines.append(
            f"| {name} ({single['wanted']}) | {single['caption']} | {aligned['unwanted']} "
            f"| {aligned['caption']} | {inverse['caption']} |"
        )
    return lines


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
