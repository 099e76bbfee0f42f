"""TRANSLATOR: a recurrent encoder and decoder between hearing and words (EDTC, section 2.3).

Shapes: B windows, T frames of a window, D features, H heads.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters.fuser import FeedForward


class Translator(nn.Module):
    """Frames -> frames, and what the last of them left behind, which is that of a whole sentence.

    The paper's attention to the last hidden state (CAB) has one key, whose weight is 1: it is the
    linear map that values and outputs make of it, and is written as that. The decoder's attention
    to the encoder's frame of the same time is one for the same reason. Both decoder and encoder
    attend to the frames that came in (GAB). The convolution over time is one per feature.
    """

    def __init__(
        self, *, width: int, encoder_layers: int, decoder_layers: int, kernel: int, heads: int
    ) -> None:
        """``kernel`` is odd: frames that the convolution sees."""
        super().__init__()
        self.encoder = nn.ModuleList(
            _Layer(width, kernel, heads, translates=False) for _ in range(encoder_layers)
        )
        self.decoder = nn.ModuleList(
            _Layer(width, kernel, heads, translates=True) for _ in range(decoder_layers)
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, D] -> [B, T, D] and [B, D]."""
        hidden = frames.new_zeros(len(frames), frames.shape[2])
        encoded = frames
        for layer in self.encoder:
            encoded, hidden = layer(encoded, None, torch.zeros_like(hidden))
        translated, heard = frames, hidden
        for layer in self.decoder:
            translated, hidden = layer(translated, encoded, heard)
        return translated, hidden


class _Layer(nn.Module):
    """Convolution, CAB, GAB, in a decoder the encoder's frame, feed-forward."""

    def __init__(self, width: int, kernel: int, heads: int, *, translates: bool) -> None:
        super().__init__()
        self.heads = heads
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.past = nn.Linear(width, width)
        self.past_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width)
        self.source = nn.Linear(width, width) if translates else None
        self.source_norm = nn.LayerNorm(width) if translates else None
        self.feed_forward = FeedForward(width)

    def forward(
        self, frames: Tensor, encoded: Tensor | None, hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[B, T, D], the encoder's [B, T, D] in a decoder, the first hidden state [B, D].

        Returns [B, T, D] and the last hidden state [B, D].
        """
        # All that does not hang on the last hidden state is done at once.
        local = self.conv(frames.transpose(1, 2)).transpose(1, 2)
        keys, values = self._split(self.keys_values(frames), 2)
        source = None if self.source is None else self.source(encoded)
        states = []
        for step in range(frames.shape[1]):
            told = self.past_norm(local[:, step] + self.past(hidden))
            query = self._split(self.query(told)[:, None], 1)[0]
            attended = F.scaled_dot_product_attention(query, keys, values)
            hidden = self.attended_norm(told + self.out(attended.flatten(1)))
            if source is not None:
                hidden = cast(nn.Module, self.source_norm)(hidden + source[:, step])
            states.append(hidden)
        return self.feed_forward(torch.stack(states, dim=1)), hidden

    def _split(self, x: Tensor, parts: int) -> Tensor:
        """[B, T, parts * D] -> [parts, B, H, T, D / H]."""
        return x.view(*x.shape[:2], parts, self.heads, -1).permute(2, 0, 3, 1, 4)
