"""Events: the kinds of sound in each frame of what is left, and what of it the decoder is told.

Shapes: B clips, T frames, D features of a frame, K kinds, M features of the decoder's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.types import Difference, Encoded

FAINT = 0.02
"""Probabilities below it are left out: hundreds of them are not nothing, even to a square root."""
SILENCE = "Silence"
"""A kind of AudioSet's that is none."""


class Head(nn.Module):
    """One hidden layer from a frame's features to a logit per kind."""

    def __init__(self, *, width: int, hidden: int, kinds: int) -> None:
        """D, the hidden layer's width, and K."""
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, kinds)
        nn.init.constant_(self.fc2.bias, -6.0)  # most kinds are absent from most frames

    def forward(self, frames: Tensor) -> Tensor:
        """[B, T, D] -> logits [B, T, K]."""
        return cast(Tensor, self.fc2(F.hardswish(self.fc1(frames))))


class Events(nn.Module):
    """What is heard in each frame, beside its features; and what of both the decoder is told.

    The diff block masks both alike: what is left of an event's probability is the event's that is
    left, so that nothing left is silence. A clip that was compared carries a mark, which tells
    nothing left from silence.
    """

    def __init__(self, *, width: int, memory: int, hidden: int, labels: Sequence[str]) -> None:
        """D, M, and what the K kinds are called."""
        super().__init__()
        self.width = width + len(labels)
        self.head = Head(width=width, hidden=hidden, kinds=len(labels))
        self.frames = nn.Linear(width, memory)
        self.embed = nn.Linear(len(labels), memory, bias=False)
        self.compared = nn.Parameter(torch.zeros(memory))
        self._sounds = [number for number, label in enumerate(labels) if label != SILENCE]

    def hear(self, encoded: Encoded) -> Encoded:
        """Frames [B, T, D] -> [B, T, D + K]: beside them the square roots of probabilities."""
        roots = self.head(encoded.frames).sigmoid().sqrt() * encoded.mask[:, :, None]
        return replace(encoded, frames=torch.cat([encoded.frames, roots], dim=2))

    def forward(self, difference: Difference, compared: Tensor) -> Difference:
        """[B, T, D + K] -> memory [B, T, M], events [B, T, K]; ``compared`` [B] bool.

        What is new in a frame is the likeliest of its events.
        """
        events = self.probabilities(difference.memory)
        frames = self.frames(difference.memory[:, :, : -events.shape[2]])
        kept = events[:, :, self._sounds].amax(dim=2)
        memory = self.memory(frames, events, compared)
        return Difference(memory, difference.mask, kept, events)

    def probabilities(self, heard: Tensor) -> Tensor:
        """[B, T, D + K] -> [B, T, K]."""
        return heard[:, :, -self.embed.in_features :].square()

    def memory(self, frames: Tensor, events: Tensor, compared: Tensor) -> Tensor:
        """Projected frames [B, T, M] and events [B, T, K] -> memory [B, T, M]."""
        strong = torch.where(events < FAINT, 0.0, events).sqrt()
        mark = compared[:, None, None] * self.compared
        return frames + self.embed(strong) + mark  # type: ignore[no-any-return]
