"""The report says what the figures do; the page that is kept is the one that they make."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from training.experiments import report
from training.experiments.summary import summarize

DOCS = Path(__file__).parents[4] / "docs"
PAGES = ("reproduction", "reproduction-bundled")


def result(row: str, seed: int, cider: list[float]) -> dict[str, Any]:
    scores = dict.fromkeys(("BLEU1", "BLEU4", "METEOR", "ROUGE-L", "Sounds-F"), 0.5)
    scores["CIDEr"] = sum(cider) / len(cider)
    return {
        "row": row, "seed": seed, "settings": {}, "steps": 10, "cpu_s": 1,
        "losses": [(step, 5.0 - step) for step in range(3)], "validation": [(5, 3.0), (10, 2.0)],
        "plain": {"recall": 0.5}, "in": {"recall": 0.5, "leak": 0.0},
        "in+": {"recall": 0.4, "leak": 0.2},
        "scores": {"human": scores}, "per_clip": {"human": {"CIDEr": cider}},
        "scenes": [{"kinds": ["Dog"], "added": ["rain"]}] * len(cider),
        "captions": {"in": ["a dog"] * len(cider)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "says"),
    [(0.2, "The paper's claim is seen"), (-0.2, "is contradicted"), (0.0, "is not seen")],
)
def test_the_answer_is_what_the_interval_says(gain: float, says: str, tmp_path: Path) -> None:
    base = [0.1, 0.5, 0.3, 0.4]
    noise = [0.01, -0.01, 0.01, -0.01]
    rows = [result("baseline", seed, base) for seed in range(2)]
    masked = [value + gain + more for value, more in zip(base, noise, strict=True)]
    rows += [result("masking-same-same", seed, masked) for seed in range(2)]
    summary = summarize(rows)
    assert says in report.answer(summary["rows"])
    assert summary["rows"]["masking-same-same"]["human"]["gain"]["mean"] == pytest.approx(gain)
    text = report.figures(summary, tmp_path)
    assert f"| masking-same-same | 2 | {gain + 0.325:.3f}" in text
    assert "- Dog; added: rain\n  - in, baseline: a dog" in text


def test_a_row_is_compared_only_with_the_baseline_of_its_own_seeds() -> None:
    rows = [result("baseline", seed, [0.1 * seed, 0.3]) for seed in range(3)]
    rows += [result("al-mixgen", seed, [0.1 * seed + 0.1, 0.4]) for seed in (1, 2)]
    found = summarize(rows)["rows"]
    assert found["al-mixgen"]["human"]["gain"]["mean"] == pytest.approx(0.1)
    lone = summarize([result("baseline", 0, [0.1, 0.3]), result("al-mixgen", 1, [0.2, 0.4])])
    assert "gain" not in lone["rows"]["al-mixgen"]["human"]


def test_rows_are_compared_by_the_seeds_that_both_have(tmp_path: Path) -> None:
    rows = [result("baseline", 0, [0.1, 0.3]), result("masking-same-same", 0, [0.2, 0.4])]
    rows += [result("mixtures-alone", seed, [0.1, 0.3]) for seed in (1, 2)]
    rows += [result("masking-same-same", seed, [0.3, 0.5]) for seed in (2, 3)]
    summary = summarize(rows)
    assert [*summary["pairs"]] == ["masking over the same mixtures without references"]
    text = report.figures(summary, tmp_path)
    assert "| masking over the same mixtures without references | 1 | +0.200 [+0.200, " in text


def test_a_factor_is_held_against_the_row_that_it_varies(tmp_path: Path) -> None:
    rows = [result("baseline", seed, [0.1, 0.3]) for seed in range(2)]
    rows += [result("masking-same-same", seed, [0.2 + 0.1 * seed, 0.4]) for seed in range(3)]
    rows += [result("masking-open", seed, [0.3 + 0.1 * seed, 0.4]) for seed in (1, 2)]
    text = report.figures(summarize(rows), tmp_path)
    table = text.partition("### The mask at the start\n")[2].partition("###")[0]
    assert "| row | seeds | CIDEr | less the baseline's | less masking-same-same's |" in table
    [line] = [line for line in table.splitlines() if line.startswith("| masking-open |")]
    assert line.endswith("|  | +0.050 [+0.000, +0.100] |"), "the baseline lacks a seed"
    [line] = [line for line in table.splitlines() if line.startswith("| masking-same-same |")]
    assert line.endswith("|  |")


def test_differences_are_told_by_what_the_reference_is(tmp_path: Path) -> None:
    rows = []
    for seed in range(2):
        rates = {"recall": 0.4 + 0.1 * seed, "leak": 0.05}
        one = result("masking-same-same", seed, [0.2, 0.4])
        one["differences"] = {"same/same": rates, "same/diff": {"recall": 0.3, "leak": 0.1}}
        one["inverse"] = rates
        rows.append(one)
    text = report.figures(summarize(rows), tmp_path)
    assert "| trained as | same/same | same/diff |" in text
    assert "| masking-same-same | 0.450, 0.050 | 0.300, 0.100 |" in text


def test_what_a_reference_does_of_which_nothing_is_heard_stands_beside_the_mixture(
    tmp_path: Path,
) -> None:
    rows = []
    for seed in range(3):
        one = result("masking-same-same", seed, [0.2, 0.4])
        one["differences"] = {"same/same": {"recall": 0.4, "leak": 0.05}}
        one["inverse"] = {"recall": 0.4, "leak": 0.05}
        one["in+"] = {"recall": 0.4 + 0.1 * seed, "leak": 0.2}
        if seed:  # the first run was not asked
            one["other"] = {"recall": 0.3 + 0.1 * seed, "leak": 0.1}
        rows.append(one)
    text = report.figures(summarize(rows), tmp_path)
    assert "| masking-same-same | 2 | 0.550 | 0.200 | 0.450 | 0.100 | 0.050 |" in text


def test_the_runs_stay_with_the_page(tmp_path: Path) -> None:
    study, docs = tmp_path / "study", tmp_path / "docs"
    for folder in (study, docs):
        folder.mkdir()
    page = docs / "study.md"
    page.write_text((DOCS / "reproduction.md").read_text())
    rows = [result("baseline", 0, [0.1, 0.3]), result("al-mixgen", 0, [0.2, 0.4])]
    lines = "".join(json.dumps(one) + "\n" for one in rows)
    (study / "results.jsonl").write_text(lines)
    report.write(study, page)
    assert lzma.decompress((docs / "study.jsonl.xz").read_bytes()).decode() == lines
    assert "| al-mixgen | 1 | " in page.read_text()
    assert "](images/study/gain.png)" in page.read_text()
    assert (docs / "images/study/gain.png").is_file()


def test_a_page_keeps_what_stands_around_what_is_made(tmp_path: Path) -> None:
    summary = summarize([result("baseline", 0, [0.1, 0.3])])
    marks = [f"<!-- {name}: {end} -->" for name in ("answer", "figures")
             for end in ("made by reproduce report", "end")]  # fmt: skip
    page = f"# Head\n{marks[0]}\nold\n{marks[1]}\nmiddle\n{marks[2]}\n{marks[3]}\ntail"
    made = report.remade(page, summary, tmp_path)
    assert "old" not in made
    assert made.startswith(f"# Head\n{marks[0]}\n{report.answer(summary['rows'])}\n{marks[1]}\nm")
    assert made.endswith(f"{marks[3]}\ntail")
    assert "| baseline | 1 | 0.500" in made
    assert report.remade(made, summary, tmp_path) == made


@pytest.mark.parametrize("name", PAGES)
def test_the_page_says_what_the_kept_figures_say(name: str, tmp_path: Path) -> None:
    summary = json.loads((DOCS / f"{name}.json").read_text())
    page = (DOCS / f"{name}.md").read_text()
    assert report.remade(page, summary, tmp_path / name) == page
    assert "\n".join(page.splitlines()[2:6]).find(report.answer(summary["rows"])) >= 0
    drawn = re.findall(r"\((images/[a-z-]+/[a-z]+\.png)\)", page)
    assert drawn
    for image in drawn:
        assert (DOCS / image).is_file()


@pytest.mark.parametrize("name", PAGES)
def test_the_kept_figures_are_those_of_the_kept_runs(name: str) -> None:
    rows = json.loads((DOCS / f"{name}.json").read_text())["rows"]
    kept = (DOCS / name).with_suffix(report.RUNS)
    runs = map(json.loads, lzma.decompress(kept.read_bytes()).splitlines())
    found: dict[str, dict[int, float]] = {}
    for run in runs:
        found.setdefault(run["row"], {})[run["seed"]] = run["scores"]["human"]["CIDEr"]
    assert found.keys() == rows.keys()
    for name, cider in found.items():
        assert sorted(cider) == rows[name]["seeds"]
        assert fmean(cider.values()) == pytest.approx(
            rows[name]["human"]["CIDEr"]["mean"], abs=1e-3
        )
