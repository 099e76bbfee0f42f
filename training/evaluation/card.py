"""Results of ``training.evaluation.over_http`` as tables, and into a model card."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.evaluation.changes import PREFIX
from training.evaluation.rows import MIXTURES, ROWS

START, END = "<!-- scores -->", "<!-- /scores -->"
EXAMPLES = 40

Answers = Mapping[str, Sequence[Mapping[str, Any]]]
"""Row -> what was asked and said."""


def scores(results_path: Path) -> str:
    """Commands, figures, shares by kind and forty examples as Markdown."""
    results = json.loads(results_path.read_text())
    return "\n".join(
        [
            "```sh",
            *results["commands"],
            "```",
            "",
            f"Through the HTTP API, {_revisions(results)}, seed {results['seed']}:",
            "",
            *_table(results["figures"]),
            *by_kind(results["answers"]),
            *examples(results["answers"], results["seed"]),
            *told(results["answers"], results["seed"]),
        ]
    )


def _revisions(results: Mapping[str, Any]) -> str:
    """Of what was measured."""
    revisions = {
        ROWS[name].style: results["styles"][ROWS[name].style]["revision"]
        for name in results["figures"]
    }
    if set(revisions) <= {"rest"}:
        return f"revision `{results['model']['revision']}`"
    return " and ".join(f"revision `{one}` of style {style}" for style, one in revisions.items())


def _table(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| figure | value | 95% interval | leak | cases |"
    yield "|---|---|---|---|---|"
    for name, row in ROWS.items():
        if name in figures:
            figure = figures[name]
            leak = "" if figure["leak"] is None else f"{figure['leak']:.3f}"
            value, low, high = (_number(figure[key]) for key in ("value", "low", "high"))
            yield f"| {row.title} | {value} | {low} to {high} | {leak} | {figure['cases']} |"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def by_kind(answers: Answers) -> list[str]:
    """A table of the share right of each of ESC-50's kinds; nothing where it was not measured."""
    columns = [name for name in ("esc50", *MIXTURES) if name in answers]
    table: dict[str, dict[str, list[bool]]] = {}
    for column in columns:
        for one in answers[column]:
            table.setdefault(one["kind"], {}).setdefault(column, []).append(one["right"])
    if not table:
        return []
    lines = ["", "By kind of ESC-50 (share right):", "", f"| kind | {' | '.join(columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for kind, cells in sorted(table.items()):
        shares = (cells.get(column, []) for column in columns)
        shown = (f"{sum(share) / len(share):.2f}" if share else "" for share in shares)
        lines.append(f"| {kind} | {' | '.join(shown)} |")
    return lines


def examples(answers: Answers, seed: int, count: int = EXAMPLES) -> list[str]:
    """A table of recordings drawn at random and what was said of them, as it came out.

    Half of them real ones, half ESC-50's, as far as there are.
    """
    sets = [
        found
        for single, prefix in (("real", "real-"), ("esc50", ""))
        if (found := _told(answers, single, prefix))
    ]
    rng = random.Random(seed)
    rows: list[str] = []
    for left, found in zip(range(len(sets), 0, -1), sets, strict=True):
        rows += rng.sample(found, min((count - len(rows)) // left, len(found)))
    if not rows:
        return []
    return [
        "",
        f"{len(rows)} recordings drawn at random, as the answers came out:",
        "",
        "| recording | its caption | mixed with | the mixture minus that | minus the recording |",
        "|---|---|---|---|---|",
        *rows,
    ]


def told(answers: Answers, seed: int, count: int = EXAMPLES) -> list[str]:
    """A table of pairs drawn at random, and what is said of the change."""
    asked = [one for name in ("add", "level") for one in answers.get(f"{PREFIX}{name}", ())]
    if not asked:
        return []
    drawn = random.Random(seed).sample(asked, min(count, len(asked)))
    return [
        "",
        f"{len(drawn)} pairs drawn at random, as the answers came out:",
        "",
        "| what was done | what is said |",
        "|---|---|",
        *(f"| {one['name'].partition(': ')[2]} | {one['captions'][0]} |" for one in drawn),
    ]


def _told(answers: Answers, single: str, prefix: str) -> list[str]:
    """A line per recording of which all three were asked."""
    alone, aligned, inverse = (
        {one["name"].split(" + ")[0]: one for one in answers.get(row, ())}
        for row in (single, f"{prefix}aligned", f"{prefix}inverse")
    )
    return [
        f"| {name} ({alone[name]['kind']}) | {alone[name]['captions'][0]} "
        f"| {aligned[name]['other']} | {aligned[name]['captions'][0]} "
        f"| {inverse[name]['captions'][0]} |"
        for name in sorted(alone.keys() & aligned.keys() & inverse.keys())
    ]


def into_card(card: Path, results_path: Path) -> None:
    """Replace what stands between the score marks of a model card.

    Raises:
        ValueError: the card has no such marks.
    """
    between(card, START, END, scores(results_path))


def between(page: Path, start: str, end: str, text: str) -> None:
    """Replace what stands between two marks of a page. Raises ValueError if it lacks one."""
    before, *found = page.read_text(encoding="utf-8").partition(start)
    _, *ended = found[1].partition(end)
    if not (found[0] and ended[0]):
        raise ValueError(f"{page} needs the marks {start} and {end}")
    page.write_text(f"{before}{start}\n{text}\n{end}{ended[1]}", encoding="utf-8")
