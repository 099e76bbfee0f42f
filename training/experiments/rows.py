"""The rows of the paper's tables and of our own: each a recipe with some settings replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from training.recipes.adl import DifferenceLearning

_CONDITIONS = ("same-same", "same-diff", "diff-diff", "multi-same", "multi-diff")
TABLES = {
    "table1": ("baseline", "al-mixgen", "subtraction-same-same", "masking-same-same"),
    "table2": ("subtraction-same-same", *(f"masking-{name}" for name in _CONDITIONS)),
    "table3": ("baseline", "masking-same-same"),
    "control": ("baseline", "mixtures-alone", "masking-same-same"),
    "share": ("baseline", "masking-share-25", "masking-same-same", "masking-share-75",
              "masking-share-100"),
    "start": ("masking-same-same", "masking-open"),
    "place": ("masking-same-same", "masking-before", "masking-distilled"),
    "encoder": ("baseline", "masking-same-same", "baseline-learning", "masking-learning"),
    "power": ("masking-softer", "masking-same-same", "masking-louder"),
    "rate": ("baseline-rate-3e-4", "baseline-rate-1e-3", "baseline-rate-3e-3"),
    "size": ("baseline", "subtraction-same-same", "masking-same-same", "baseline-half",
             "subtraction-half", "masking-half", "mixtures-half", "baseline-quarter",
             "subtraction-quarter", "masking-quarter", "mixtures-quarter"),
}  # fmt: skip
"""The paper's; the control; a factor each; and what the learning rate is chosen by."""


def read_row(name: str, given: Mapping[str, Any] = MappingProxyType({})) -> DifferenceLearning:
    """The recipe of that row; what it does not say itself is as ``given``, or the paper's.

    Raises:
        KeyError: there is no such row.
        TypeError: it replaces what a recipe has not.
    """
    rows = yaml.safe_load(Path(__file__).with_name("rows.yaml").read_text())
    return DifferenceLearning(**{**given, **rows[name]})


def rows_of(tables: Sequence[str]) -> list[str]:
    """The rows of these tables, each once, in their order."""
    return list(dict.fromkeys(row for table in tables for row in TABLES[table]))
