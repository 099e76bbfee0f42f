"""The rows of the paper's tables: each a recipe with a few settings replaced."""

from __future__ import annotations

from pathlib import Path

from training.experiments import report, rows
from training.experiments.rows import TABLES, read_row
from training.recipes.adl import DifferenceLearning
from training.scenes.algorithm1 import CONDITIONS


def test_every_row_is_in_a_table_and_the_paper_has_figures_for_it() -> None:
    names = {name for table in TABLES.values() for name in table}
    papers = {name for table in ("table1", "table2", "table3") for name in TABLES[table]}
    assert papers == {*report.PAPER}
    files = Path(rows.__file__).parent.glob("*.yaml")
    assert names == {path.stem for path in files}
    for name in names:
        row = read_row(name)
        assert (row.epochs, row.batch_size) == (40, 32)  # the paper's
        assert row.condition in (None, *CONDITIONS)
        assert (row.condition is None) == (row.reference_share == 0)
        assert name.startswith(row.difference) or row.condition is None
    assert read_row("baseline") == DifferenceLearning()
