"""The subtraction diff block: Audio Difference Learning, section 4.3.1, equation 14.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from model.types import Difference, Encoded


class Subtraction(nn.Module):
    """``Z_diff = Z_in - Z_ref``: no parameters; the clips must be aligned in time.

    Beyond the reference's end nothing is subtracted; a longer reference is cut.
    """

    makes_memory = False

    def __init__(self, *, width: int) -> None:
        """``width`` is D."""
        super().__init__()
        self.width = width

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        """[B, T, D] and [B, R, D] -> memory [B, T, D]; there is no mask to show."""
        frames = reference.frames * reference.mask.unsqueeze(-1)
        frames = F.pad(frames, (0, 0, 0, max(0, input.frames.shape[1] - frames.shape[1])))
        return Difference(input.frames - frames[:, : input.frames.shape[1]], input.mask, None)
