"""Diff blocks: what the input has and the reference has not. ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import DiffBlock
from model.difference.concentrated import Concentrated
from model.difference.masking import Masking
from model.difference.subtraction import Subtraction

DIFFERENCES: dict[str, Callable[..., DiffBlock]] = {
    "masking": Masking,
    "subtraction": Subtraction,
    "concentrated": Concentrated,
}

__all__ = ["DIFFERENCES", "Concentrated", "Masking", "Subtraction"]
