"""The rows of the paper's tables, a YAML file each, with the paper's hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

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


@dataclass(frozen=True)
class Row:
    """How one variant is trained."""

    difference: str
    """Diff block: a key of ``model.difference.DIFFERENCES``."""
    condition: str | None
    """Of Algorithm 1, a key of ``CONDITIONS``; None never mixes."""
    reference_share: float
    """Of the samples; the others are plain clips. The paper does not say how many there were."""
    mixgen_share: float
    """Of the samples: two clips at once, their captions joined by "and" (AL-MixGen)."""
    mask_bias: float
    """Added at the start to what the mask's sigmoid takes: -4 keeps nearly everything."""
    epochs: int
    batch_size: int
    learning_rate: float


def read_row(name: str) -> Row:
    """The row of that name."""
    text = Path(__file__).with_name(f"{name}.yaml").read_text()
    return Row(**yaml.safe_load(text))
