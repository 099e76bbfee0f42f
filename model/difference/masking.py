"""The masking diff block: Audio Difference Learning, section 4.3.2, equations 15 to 18.

Shapes: B clips, T input frames, R reference frames, D features.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from model.types import Difference, Encoded


class Masking(nn.Module):
    """``Z_masked = (1 - sigmoid(Softmax(Q K^T / sqrt(D)) V)) * Z_in``.

    Input and reference need not be aligned nor of one length. Padded reference frames take no
    part in the softmax.
    """

    makes_memory = False

    def __init__(self, *, width: int) -> None:
        """``width`` is D."""
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        """[B, T, D] and [B, R, D] -> memory [B, T, D], kept [B, T]."""
        mask = self.keep(input.frames, reference)
        return Difference(mask * input.frames, input.mask, mask.mean(dim=-1))

    def keep(self, frames: Tensor, reference: Encoded) -> Tensor:
        """The mask M, [B, T, D] in (0, 1)."""
        # Q K^T = (Q W_K) Z_ref^T but for what is alike in all of a row, which a softmax does not
        # see, and Softmax(...) V = (Softmax(...) Z_ref) W_V: so no matrix of D^2 meets the
        # reference's frames, which may be half an hour of a stream's.
        found = F.scaled_dot_product_attention(
            self.query(frames) @ self.key.weight,
            reference.frames,
            reference.frames,
            attn_mask=reference.mask.unsqueeze(1),
        )
        return 1 - self.value(found).sigmoid()  # type: ignore[no-any-return]
