"""BART's pretraining: captions written out again of which tokens are missing (Lewis et al. 2020).

EDTC takes ``facebook/bart-base``; a small BART learns here, in minutes, on captions alone. Of the
paper's noises it is token deletion: the others need a token that stands for what is missing.

Shapes: B captions, L tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from model.decoders import BartDecoder
from model.types import Difference
from training.losses.captioning import per_token


class Denoising(nn.Module):
    """What is left of a caption is BART's memory, by its own embeddings."""

    def __init__(self, decoder: BartDecoder, smoothing: float = 0.0) -> None:
        """``smoothing`` is the share of a token's probability that all tokens get."""
        super().__init__()
        self.decoder = decoder
        self.smoothing = smoothing

    def forward(self, tokens: Tensor, left_tokens: Tensor) -> dict[str, Tensor]:
        """Captions [B, L] and what is left of them [B, L'] -> the mean loss per token."""
        memory = self.decoder.bart.model.shared(left_tokens)
        there = Difference(memory, left_tokens != self.decoder.pad_token_id, None)
        logits = self.decoder(there, tokens)
        return {"loss": per_token(logits, tokens, self.decoder, self.smoothing)}
