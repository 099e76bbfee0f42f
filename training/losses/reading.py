"""What captions mean, as a small transformer that learnt to pair those of one clip.

EDTC reads captions through INSTRUCTOR (``losses.instructor``); this one stands in for it where it
cannot be had: it is trained here, in minutes, on captions alone.

Shapes: B captions, L tokens, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.captions.tokenizer import PAD
from training.losses.disentangling import info_nce

CLIP_SCALE = math.log(1 / 0.07)
"""The logarithm that its learned scale starts from."""
_PLACES = 64


class TextEncoder(nn.Module):
    """Tokens -> a state of each."""

    def __init__(self, *, vocab_size: int, width: int, layers: int, heads: int) -> None:
        """``width`` is D."""
        super().__init__()
        self.width = width
        self.words = nn.Embedding(vocab_size, width, padding_idx=PAD)
        self.places = nn.Embedding(_PLACES, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, L] -> [B, L, D], zero on padding; what is beyond the 64th token is not read."""
        tokens = tokens[:, :_PLACES]
        places = torch.arange(tokens.shape[1], device=tokens.device)
        padding = tokens == PAD
        states = self.layers(self.words(tokens) + self.places(places), src_key_padding_mask=padding)
        normed: Tensor = self.norm(states).masked_fill(padding[..., None], 0.0)
        return normed

    def frames(self, tokens: Tensor, count: int) -> Tensor:
        """[B, L] -> [B, count, D]: cut, or filled up with zeros."""
        return fitted(self(tokens), count)


def fitted(states: Tensor, count: int) -> Tensor:
    """[B, L, D] -> [B, count, D]: cut, or filled up with zeros."""
    return F.pad(states[:, :count], (0, 0, 0, max(0, count - states.shape[1])))


class Pairing(nn.Module):
    """Learns it: two captions of a clip are nearer than those of the batch's other clips."""

    def __init__(self, text: TextEncoder) -> None:
        super().__init__()
        self.text = text
        self.scale = nn.Parameter(torch.tensor(CLIP_SCALE))

    def forward(self, tokens: Tensor, other_tokens: Tensor) -> dict[str, Tensor]:
        """[B, L] and [B, L'] -> the mean loss."""
        one, other = (self._whole(each) for each in (tokens, other_tokens))
        return {"loss": info_nce(one, other, (-self.scale).exp())}

    def _whole(self, tokens: Tensor) -> Tensor:
        states = self.text(tokens)
        real = (tokens[:, : states.shape[1]] != PAD).sum(dim=1, keepdim=True)
        whole: Tensor = states.sum(dim=1) / real
        return whole
