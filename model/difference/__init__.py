"""Diff blocks: what the input has and the reference has not. The name in ``config.json`` picks one.

One contract: ``forward(input: Encoded, reference: Encoded) -> Difference``.
"""

from torch import nn

from model.difference.masking import Masking
from model.difference.subtraction import Subtraction

DIFFERENCES: dict[str, type[nn.Module]] = {"masking": Masking, "subtraction": Subtraction}

__all__ = ["DIFFERENCES", "Masking", "Subtraction"]
