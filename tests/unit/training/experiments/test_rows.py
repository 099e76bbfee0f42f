"""The rows of the paper's tables and of our own: each a recipe with a few settings replaced."""

from __future__ import annotations

from pathlib import Path

import yaml

from training import arguments
from training.experiments import report, rows
from training.experiments.rows import TABLES, read_row, rows_of
from training.recipes.adl import DifferenceLearning
from training.samples.features import condition_of


def test_every_row_is_in_a_table_and_the_paper_has_figures_for_its_own() -> None:
    written = yaml.safe_load(Path(rows.__file__).with_name("rows.yaml").read_text())
    assert {*rows_of([*TABLES])} == {*written}
    assert {*rows_of(["table1", "table2", "table3"])} == {*report.PAPER}
    assert {*arguments.TABLES} == {*TABLES}


def test_rows_are_the_papers_recipe_but_for_what_they_replace() -> None:
    for name in rows_of([*TABLES]):
        row = read_row(name)
        assert (row.epochs, row.batch_size) == (40, 32)  # the paper's
        assert row.condition is None or condition_of(row.condition)
        assert (row.condition is None) == (row.reference_share == 0)
        assert name.startswith(row.difference) or row.condition is None or row.blind
    assert read_row("baseline") == DifferenceLearning()


def test_what_a_row_says_itself_is_not_replaced() -> None:
    given = {"learning_rate": 2e-3, "epochs": 3}
    assert read_row("baseline", given) == DifferenceLearning(learning_rate=2e-3, epochs=3)
    assert read_row("baseline-rate-3e-4", given).learning_rate == 3e-4
