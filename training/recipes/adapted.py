"""A decoder that the adapter belongs to, so that what it is given may be compared before.

Shapes: B clips, T frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from model.contracts import Adapter
from model.decoders import BartDecoder
from model.types import Difference, Encoded, Sequences


class AdaptedDecoder(nn.Module):
    """Adapter, then decoder: a ``model.contracts.Decoder``."""

    def __init__(self, adapter: Adapter, decoder: BartDecoder) -> None:
        super().__init__()
        self.adapter = adapter
        self.decoder = decoder
        self.max_positions = decoder.max_positions
        self.pad_token_id = decoder.pad_token_id

    def forward(self, difference: Difference, tokens: Tensor) -> Tensor:
        """Logits [B, L, V] of each of ``tokens`` [B, L], given the memory [B, T, D]."""
        logits: Tensor = self.decoder(self._adapted(difference), tokens)
        return logits

    def generate(self, difference: Difference, **search: Any) -> Sequences:
        """As ``BartDecoder.generate``."""
        return self.decoder.generate(self._adapted(difference), **search)

    def _adapted(self, difference: Difference) -> Difference:
        adapted = self.adapter(Encoded(difference.memory, difference.mask))
        return replace(difference, memory=adapted.frames)
