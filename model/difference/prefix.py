"""The prefix diff block: of each clip, vectors that stand before the words (ADIFF, section 4).

Each clip has a mapper of its own; where they meet is the decoder. The paper's hears a clip as one
vector, spread over as many as it says; ``frames`` hears the frames themselves, which know when.

Shapes: B clips, T input frames, R reference frames, D features of a frame, P vectors of a clip, M
features of one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from model import measures
from model.difference.places import places
from model.mapper import Mapper
from model.types import Difference, Encoded


class Prefix(nn.Module):
    """Memory of both clips, the input's P vectors first."""

    makes_memory = True

    def __init__(
        self,
        *,
        width: int,
        memory: int,
        tokens: int,
        layers: int,
        heads: int,
        hears: Literal["clip", "frames"],
        bands: int,
        whole: bool = False,
    ) -> None:
        """D, M, P; of each frame, its levels in ``bands`` are heard beside it.

        ``whole``: so is what is measured of its clip.
        """
        super().__init__()
        self.levels = bands + (measures.COUNT if whole else 0)
        sizes = {"memory": memory, "tokens": tokens, "layers": layers, "heads": heads}
        self.input = ClipMapper(width + self.levels, hears=hears, **sizes)
        self.reference = ClipMapper(width + self.levels, hears=hears, **sizes)

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        """[B, T, D] and [B, R, D] -> memory [B, 2 P, M]."""
        memory = torch.cat(
            [self.input(*self._heard(input)), self.reference(*self._heard(reference))], dim=1
        )
        return Difference(memory, torch.ones_like(memory[..., 0], dtype=torch.bool), None)

    def _heard(self, clip: Encoded) -> tuple[Tensor, Tensor]:
        if not self.levels:
            return clip.frames, clip.mask
        assert clip.levels is not None
        levels = clip.levels[:, :, : self.levels].to(clip.frames.dtype)
        return torch.cat([clip.frames, levels], dim=2), clip.mask


class ClipMapper(Mapper):
    """One clip -> its P vectors."""

    def __init__(
        self,
        width: int,
        *,
        memory: int,
        tokens: int,
        layers: int,
        heads: int,
        hears: Literal["clip", "frames"],
    ) -> None:
        """As ``Prefix``."""
        super().__init__(width=memory, queries=tokens, layers=layers, heads=heads)
        self.whole = hears == "clip"
        self.expand = nn.Linear(width, tokens * memory if self.whole else memory)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """[B, T, D] where ``mask`` [B, T] -> [B, P, M]; of a clip that is one vector, T is 1."""
        expanded = self.expand(frames)
        if self.whole:
            return super().forward(expanded[:, 0].unflatten(1, (len(self.queries), -1)))
        known = places(frames.shape[1], expanded.shape[2], frames.device)
        return super().forward(expanded + known.to(expanded.dtype), mask)
