"""The score tables and how they get into a model card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.evaluation.card import END, START, examples, into_card, scores
from training.evaluation.over_http import FIGURES


def answer(figure: str, clip: str, wanted: str | None, unwanted: str | None) -> dict[str, object]:
    return {
        "figure": figure,
        "name": f"{clip} + r.wav" if unwanted else clip,
        "wanted": wanted,
        "unwanted": unwanted,
        "caption": f"{figure} of {clip}",
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    row = {"right": 0.81, "low": 0.7644, "high": 0.85, "leak": 0.02, "cases": 400}
    path.write_text(
        json.dumps(
            {
                "model": {"name": "m", "revision": "abc123"},
                "folds": [4, 5],
                "seed": 7,
                "figures": dict.fromkeys(FIGURES, row),
                "kinds": {"cat": {"single": 0.5, "inverse": 0.25}, "dog": {"aligned": 1.0}},
                "answers": [
                    answer(figure, clip, wanted, unwanted)
                    for clip, kind in (("a.wav", "cat"), ("b.wav", "dog"), ("c.wav", "cow"))
                    for figure, wanted, unwanted in (
                        ("single, ESC-10" if kind == "dog" else "single", kind, None),
                        ("aligned", kind, "rain"),
                        ("inverse", "rain", kind),
                        ("equal", None, None),
                    )
                ],
            }
        )
    )
    return path


def test_scores_are_two_tables(results: Path) -> None:
    lines = scores(results).splitlines()
    assert lines[0] == "Fold 4, 5 of ESC-50, through the HTTP API, seed 7, revision `abc123`:"
    for figure, title in FIGURES.items():
        leak = "" if figure in ("single", "single, ESC-10", "equal") else "0.020"
        assert f"| {title} | 0.810 | 0.764 to 0.850 | {leak} | 400 |" in lines
    assert "| cat | 0.50 |  |  |  | 0.25 |" in lines
    assert "| dog |  | 1.00 |  |  |  |" in lines
    kinds = lines.index("By kind (share right):") + 2
    assert sum(line.startswith("|") for line in lines[:kinds]) == 2 + len(FIGURES)
    assert lines[kinds + 4] == ""


def test_examples_are_drawn_at_random_and_stand_as_they_came_out(results: Path) -> None:
    answers = json.loads(results.read_text())["answers"]
    rows = examples(answers, seed=0)[5:]
    assert sorted(rows) == [
        "| a.wav (cat) | single of a.wav | rain | aligned of a.wav | inverse of a.wav |",
        "| b.wav (dog) | single, ESC-10 of b.wav | rain | aligned of b.wav | inverse of b.wav |",
        "| c.wav (cow) | single of c.wav | rain | aligned of c.wav | inverse of c.wav |",
    ]
    assert len(examples(answers, seed=0, count=2)) == 5 + 2
    assert len({tuple(examples(answers, seed=seed, count=1)) for seed in range(20)}) == 3
    assert examples(answers, seed=7)[5:] == scores(results).splitlines()[-3:]


def test_scores_replace_what_is_between_the_marks(results: Path, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"---\nlicence: x\n---\nBefore ü\n{START}\nold\n{END}\nAfter\n", "utf-8")
    for _ in range(2):
        into_card(card, results)
        text = card.read_text("utf-8")
        assert text.startswith(f"---\nlicence: x\n---\nBefore ü\n{START}\nFold 4, 5")
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
