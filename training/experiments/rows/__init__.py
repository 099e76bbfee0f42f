"""The rows of the paper's tables, a YAML file each: what it replaces of the paper's recipe."""

from __future__ import annotations

from pathlib import Path

import yaml

from training.recipes.adl import DifferenceLearning

TABLES = {
    "table1": ("baseline", "al-mixgen", "subtraction-same-same", "masking-same-same"),
    "table2": (
        "subtraction-same-same",
        *(f"masking-{name}" for name in ("same-same", "same-diff", "diff-diff")),
        *(f"masking-{name}" for name in ("multi-same", "multi-diff")),
    ),
    "table3": ("baseline", "masking-same-same"),
    "ablation": (
        "baseline",
        "subtraction-same-same",
        *(f"masking-{name}" for name in ("same-same", "share-25", "share-100", "open")),
    ),
}
"""The paper's, and one of what the paper leaves open."""


def read_row(name: str) -> DifferenceLearning:
    """The recipe of that row. Raises TypeError if its file replaces what a recipe has not."""
    text = Path(__file__).with_name(f"{name}.yaml").read_text()
    return DifferenceLearning(**(yaml.safe_load(text) or {}))
