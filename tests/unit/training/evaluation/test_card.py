"""The score tables and how they get into a model card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.evaluation.card import END, START, by_kind, examples, into_card, scores
from training.evaluation.rows import ROWS

CLIPS = (("a.wav", "cat"), ("b.wav", "dog"), ("c.wav", "cat"))


def said(row: str, clip: str, kind: str, other: str = "", right: bool = True) -> dict[str, Any]:
    name = f"{clip} + r.wav" if other else clip
    captions = [f"{row} of {clip}"]
    return {"name": name, "kind": kind, "other": other, "captions": captions, "right": right}


def answers(single: str = "esc50", prefix: str = "") -> dict[str, list[dict[str, Any]]]:
    return {
        single: [said(single, clip, kind, right=clip != "c.wav") for clip, kind in CLIPS],
        f"{prefix}aligned": [
            said(f"{prefix}aligned", clip, kind, "rain", clip == "b.wav") for clip, kind in CLIPS
        ],
        f"{prefix}inverse": [said(f"{prefix}inverse", clip, "rain", kind) for clip, kind in CLIPS],
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    row = {"value": 0.81, "low": 0.7644, "high": 0.85, "leak": None, "cases": 400}
    rows = (name for name, one in ROWS.items() if one.style == "rest")
    figures = dict.fromkeys(rows, row) | {"aligned": row | {"leak": 0.02}}
    del figures["events"]
    path.write_text(
        json.dumps(
            {
                "model": {"name": "m", "revision": "abc123"},
                "styles": {"rest": {"name": "m", "revision": "abc123"}},
                "seed": 7,
                "commands": [".venv/bin/python -m training evaluate", "again"],
                "figures": figures | {"score": row | {"value": float("nan")}},
                "answers": answers(),
            }
        )
    )
    return path


def test_scores_are_the_commands_and_two_tables(results: Path) -> None:
    lines = scores(results).splitlines()
    assert lines[:4] == ["```sh", ".venv/bin/python -m training evaluate", "again", "```"]
    assert lines[5] == "Through the HTTP API, revision `abc123`, seed 7:"
    titles = [row.title for name, row in ROWS.items() if row.style == "rest" and name != "events"]
    assert [line.split(" | ")[0] for line in lines[9 : 9 + len(titles)]] == [
        f"| {title}" for title in titles
    ]
    assert f"| {ROWS['esc50'].title} | 0.810 | 0.764 to 0.850 |  | 400 |" in lines
    assert f"| {ROWS['aligned'].title} | 0.810 | 0.764 to 0.850 | 0.020 | 400 |" in lines
    assert f"| {ROWS['score'].title} |  | 0.764 to 0.850 |  | 400 |" in lines
    assert lines[9 + len(titles)] == ""


def test_shares_by_kind() -> None:
    assert by_kind(answers())[3:] == [
        "| kind | esc50 | aligned | inverse |",
        "|---|---|---|---|",
        "| cat | 0.50 | 0.00 |  |",
        "| dog | 1.00 | 1.00 |  |",
        "| rain |  |  | 1.00 |",
    ]
    assert by_kind({}) == []


def test_examples_are_drawn_at_random_and_stand_as_they_came_out(results: Path) -> None:
    said = json.loads(results.read_text())["answers"]
    rows = examples(said, seed=0)[5:]
    assert sorted(rows) == [
        f"| {clip} ({kind}) | esc50 of {clip} | rain | aligned of {clip} | inverse of {clip} |"
        for clip, kind in CLIPS
    ]
    assert len(examples(said, seed=0, count=2)) == 5 + 2
    assert len({tuple(examples(said, seed=seed, count=1)) for seed in range(20)}) == 3
    assert examples(said, seed=7)[5:] == scores(results).splitlines()[-3:]
    assert examples({}, seed=0) == []


def test_half_of_the_examples_are_real() -> None:
    both = answers() | answers("real", "real-")
    rows = examples(both, seed=0, count=4)[5:]
    assert [" real of " in row for row in rows] == [True, True, False, False]
    assert len(examples(both, seed=0)[5:]) == 6


def test_scores_replace_what_is_between_the_marks(results: Path, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"---\nlicence: x\n---\nBefore ü\n{START}\nold\n{END}\nAfter\n", "utf-8")
    for _ in range(2):
        into_card(card, results)
        text = card.read_text("utf-8")
        assert text.startswith(f"---\nlicence: x\n---\nBefore ü\n{START}\n```sh")
        assert text.endswith(f"\n{END}\nAfter\n")
        assert scores(results) in text
        assert "\nold\n" not in text


@pytest.mark.parametrize("text", ["nothing", f"{START} alone", f"{END} before {START}"])
def test_a_card_without_the_marks_is_left_alone(results: Path, tmp_path: Path, text: str) -> None:
    card = tmp_path / "README.md"
    card.write_text(text)
    with pytest.raises(ValueError, match="needs the marks"):
        into_card(card, results)
    assert card.read_text() == text
