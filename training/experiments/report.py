"""The study's report: its figures beside the paper's, as Markdown and plots.

All of it is made of ``summary.json``, which stays with the documentation, as the runs do.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.experiments.plots import plot
from training.experiments.reproduce import read
from training.experiments.rows import TABLES
from training.experiments.summary import BASELINE, CASES, METRICS, VARIED, summarize

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
RUNS = ".jsonl.xz"
"""How the file ends that has the lines of all runs, and stays with a page."""
PAPER_GAIN = PAPER["masking-same-same"][4] - PAPER["baseline"][4]
PLOTS = {
    "learning": "Training loss, and that of validation, by step",
    "gain": "CIDEr less the baseline's by row, mean and interval",
    "masks": "The share that the mask keeps, over time, and when the reference sounds",
}
FACTORS = {
    "control": "Mixtures without their reference",
    "share": "Share of references",
    "start": "The mask at the start",
    "place": "Where the block stands, and what it was taught",
    "encoder": "The encoder, frozen or learning",
    "power": "Power of what is added",
    "size": "Size of the training set",
}

Rows = Mapping[str, dict[str, Any]]


def write(study: Path, page: Path | None = None) -> Path:
    """Write ``report.md``, ``summary.json`` and plots into the study's folder; the report's path.

    With a ``page`` of the documentation, that is made new, too, and beside it its images, its
    figures (``.json``) and the runs that they are made of (``.jsonl.xz``).
    """
    results = [*read(study)]
    summary = summarize(results)
    (study / "summary.json").write_text(json.dumps(summary, separators=(",", ":")) + "\n")
    report = study / "report.md"
    rows = summary["rows"]
    report.write_text(f"{answer(rows)}\n\n{figures(summary, study)}\n")
    if page is not None:
        page.with_suffix(".json").write_bytes((study / "summary.json").read_bytes())
        lines = "".join(json.dumps(one) + "\n" for one in results)
        page.with_suffix(RUNS).write_bytes(lzma.compress(lines.encode()))
        images = page.with_name("images") / page.stem
        page.write_text(remade(page.read_text(), summary, images))
    return report


def remade(page: str, summary: Mapping[str, Any], images: Path) -> str:
    """The page with its answer and its figures made new; its images are in ``images``."""
    page = _between(page, "answer", answer(summary["rows"]))
    return _between(page, "figures", figures(summary, images, f"images/{images.name}/"))


def _between(page: str, name: str, made: str) -> str:
    """The page with ``made`` between its marks of that name."""
    begin, end = f"<!-- {name}: made by reproduce report -->", f"<!-- {name}: end -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{made}\n{end}{after}"


def figures(summary: Mapping[str, Any], images: Path, link: str = "") -> str:
    """All tables, the plots, which are drawn into ``images``, and examples."""
    rows: Rows = summary["rows"]
    if not rows:
        return "There are no results yet."
    tables = {row for name in ("table1", "table2", "control") for row in TABLES[name]}
    main = [row for row in rows if row in tables]
    lines = ["### Plain captions, human scenes (tables 1 and 2)", "", *_scores(rows, main)]
    if summary["pairs"]:
        lines += ["### What is gained by what", "", *_pairs(summary["pairs"])]
    lines += ["### The same rows by the weights that validated best", "", *_best(rows, main)]
    lines += _rates(rows)
    lines += ["### Plain captions, grammar scenes", "", *_grammar(rows, main)]
    lines += ["### The paper's figures, on Clotho's recordings", ""]
    lines += _paper([row for row in PAPER if row in rows])
    for table, title in FACTORS.items():
        there = [row for row in TABLES[table] if row in rows]
        if table == "control" or set(there) - tables:
            lines += [f"### {title}", "", *_factor(rows, there)]
    lines += _differences(rows)
    drawn = plot(rows, images)
    lines += [f"![{PLOTS[name]}]({link}{name}.png)\n" for name in drawn]
    lines += _examples(summary["examples"])
    return "\n".join(lines).rstrip()


def answer(rows: Rows) -> str:
    """What the paper claims of masking, and what is seen of it."""
    masked = rows.get("masking-same-same", {}).get("human", {})
    if "gain" not in masked:
        return "Masking and the baseline have not been run by the same seeds yet."
    gain = masked["gain"]
    seen = (
        "is seen" if gain["low"] > 0 else "is contradicted" if gain["high"] < 0 else "is not seen"
    )
    base = rows[BASELINE]["human"]["CIDEr"]["mean"]
    seeds = len(rows["masking-same-same"]["seeds"])
    return (
        f"**The paper's claim {seen} here.** Masking's captions of human scenes have CIDEr "
        f"{masked['CIDEr']['mean']:.3f}, the baseline's {base:.3f}: {_signed(gain)} "
        f"(the paper: {PAPER_GAIN:+.3f}).\n{_count(seeds, 'seed')} and this many scenes would have "
        f"shown a difference of {gain['visible']:.3f} four times of five."
    )


def _scores(rows: Rows, names: Sequence[str]) -> list[str]:
    head = ["row", "seeds", *METRICS, "CIDEr less the baseline's"]
    body = [
        [name, str(len(rows[name]["seeds"])), *_means(rows[name]["human"]),
         _gain(rows[name]["human"])]
        for name in names
    ]  # fmt: skip
    return _table(head, body)


def _pairs(pairs: Mapping[str, dict[str, Any]]) -> list[str]:
    head = ["CIDEr of human scenes", "seeds", "difference", "would have been seen"]
    body = [
        [what, str(len(pair["seeds"])), _signed(pair), f"{pair['visible']:.3f}"]
        for what, pair in pairs.items()
    ]
    return _table(head, body)


def _best(rows: Rows, names: Sequence[str]) -> list[str]:
    body = [
        [name, str(rows[name]["best"]["step"]), *_means(rows[name]["best"]),
         _gain(rows[name]["best"])]
        for name in names
        if "best" in rows[name]
    ]  # fmt: skip
    return _table(["row", "step", *METRICS, "CIDEr less the baseline's"], body)


def _rates(rows: Rows) -> list[str]:
    body = [
        [name, f"{min(loss for _, loss in rows[name]['validation']):.3f}"]
        for name in TABLES["rate"]
        if name in rows
    ]
    if not body:
        return []  # the rate was given
    title = "### The learning rate of all rows, chosen by the baseline"
    return [title, "", *_table(["row", "lowest loss on validation"], body)]


def _grammar(rows: Rows, names: Sequence[str]) -> list[str]:
    body = [
        [name, *_means(rows[name]["grammar"]), _gain(rows[name]["grammar"])]
        for name in names
        if "grammar" in rows[name]
    ]
    return _table(["row", *METRICS, "CIDEr less the baseline's"], body)


def _factor(rows: Rows, names: Sequence[str]) -> list[str]:
    body = [
        [name, str(len(rows[name]["seeds"])), _interval(rows[name]["human"]["CIDEr"]),
         _gain(rows[name]["human"]), _signed(rows[name]["apart"]) if "apart" in rows[name] else ""]
        for name in names
    ]  # fmt: skip
    return _table(["row", "seeds", "CIDEr", "less the baseline's", f"less {VARIED}'s"], body)


def _paper(names: Sequence[str]) -> list[str]:
    head = ["row", "BLEU1", "BLEU4", "METEOR", "ROUGE-L", "CIDEr", "SPIDEr"]
    return _table(head, [[name, *(f"{value:.3f}" for value in PAPER[name])] for name in names])


def _differences(rows: Rows) -> list[str]:
    """Table 3's cases, and what a mask tells."""
    head = ["row", "in: recall", "in+: recall", "in+: names the added", "in+ - ref: recall",
            "in+ - ref: leak", "in+ - in: recall of the added", "in+ - in: leak"]  # fmt: skip
    body = []
    for name, row in rows.items():
        if name in TABLES["rate"] or "recall" not in row["in"]:
            continue  # what is heard in Clotho's recordings is not known
        cells = [row["in"]["recall"], row["in+"]["recall"], row["in+"]["leak"]]
        if "differences" in row:
            left, inverse = row["differences"]["same/same"], row["inverse"]
            cells += [left["recall"], left["leak"], inverse["recall"], inverse["leak"]]
        texts = [f"{value:.3f}" for value in cells]
        body.append([name, *texts, *["n/a"] * (len(head) - 1 - len(texts))])
    lines = ["### The four cases of table 3, aligned reference", "", *_table(head, body)]
    lines += _by_condition(
        rows,
        "differences",
        "A mixture less its reference, by what the reference is: recall, leak",
        lambda rates: f"{rates['recall']:.3f}, {rates['leak']:.3f}",
    )
    lines += _others(rows)
    return lines + _by_condition(rows, "auc", "The mask as an explanation", "{:.3f}".format)


def _others(rows: Rows) -> list[str]:
    """What a reference does of which nothing is in the mixture; nothing if no row was asked."""
    head = ["row", "seeds", "in+: recall", "in+: names the added", "in+ - other: recall",
            "in+ - other: names the added", "in+ - ref: names the added"]  # fmt: skip
    body = []
    for name, row in rows.items():
        if "other" in row:
            alone, other = row["other"]["in+"], row["other"]["in+ - other"]
            cells = [alone["recall"], alone["leak"], other["recall"], other["leak"],
                     row["other"]["in+ - ref"]["leak"]]  # fmt: skip
            body.append([name, str(row["other"]["seeds"]), *(f"{cell:.3f}" for cell in cells)])
    if not body:
        return []
    return ["### A mixture less what is not in it", "", *_table(head, body)]


def _by_condition(rows: Rows, key: str, title: str, cell: Callable[[Any], str]) -> list[str]:
    """A row's ``key`` under each condition of the reference; nothing if no row has any."""
    found = {name: row[key] for name, row in rows.items() if key in row}
    if not found:
        return []
    conditions = [*next(iter(found.values()))]
    body = [[name, *(cell(by[one]) for one in conditions)] for name, by in found.items()]
    return [f"### {title}", "", *_table(["trained as", *conditions], body)]


def _examples(examples: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["### Examples", ""] if examples else []
    for one in examples:
        lines += [f"- {', '.join(one['kinds'])}; added: {', '.join(one['added'])}"]
        lines += [
            f"  - {case}, {row}: {said[case]}"
            for case in CASES
            for row, said in one["said"].items()
            if case in said
        ]
    return [*lines, ""]


def _means(scored: Mapping[str, Any]) -> list[str]:
    return [f"{scored['scores'][metric]:.3f}" for metric in METRICS]


def _gain(scored: Mapping[str, Any]) -> str:
    return _signed(scored["gain"]) if "gain" in scored else ""


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _signed(found: Mapping[str, float]) -> str:
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *body]
    return [*(f"| {' | '.join(cells)} |" for cells in lines), ""]
