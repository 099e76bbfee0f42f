"""Distillation: the student's frames are to say what the teacher says of windows and of the clip.

Shapes: B clips, S samples, T frames, W windows, K kinds, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.events import Events, Head
from model.types import Difference, Encoded
from training.captions.tokenizer import PAD

TEACHER_WIDTH = 384


class Hearing(nn.Module):
    """Cross-entropy against the teacher's opinions, and the cosine of its features."""

    def __init__(self, encoder: nn.Module, head: Head, *, window: int, cosine: float = 1.0) -> None:
        """``window`` in frames."""
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.project = nn.Linear(head.fc1.in_features, TEACHER_WIDTH)
        self.window = window
        self.cosine = cosine

    def forward(
        self, inputs: Tensor, lengths: Tensor, clip: Tensor, windows: Tensor, features: Tensor
    ) -> dict[str, Tensor]:
        """Waveforms [B, S] against ``clip`` [B, K], ``windows`` [B, W, K], ``features`` [B, D]."""
        encoded: Encoded = self.encoder(inputs, lengths)
        logits = self.head(encoded.frames)
        spans = logits.unfold(1, self.window, self.window).movedim(-1, 2)
        loss_windows = distance(smooth_max(spans, 2), windows)
        loss_clip = distance(smooth_max(logits, 1), clip)
        projected = self.project(encoded.frames.mean(dim=1))
        loss_cosine = 1 - F.cosine_similarity(projected, features.float(), dim=1).mean()
        loss = loss_windows + 0.5 * loss_clip + self.cosine * loss_cosine
        return {"loss": loss, "windows": loss_windows.detach(), "clip": loss_clip.detach()}


def smooth_max(logits: Tensor, dim: int) -> Tensor:
    """The logarithm of the mean of exponentials: between the mean and the maximum."""
    return logits.logsumexp(dim) - math.log(logits.shape[dim])


def distance(logits: Tensor, probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, summed over the (weighted) kinds and averaged over the rest."""
    loss = F.binary_cross_entropy_with_logits(logits, probabilities.float(), reduction="none")
    return (loss if weights is None else loss * weights).sum(dim=-1).mean()


class Differing(nn.Module):
    """What the diff block leaves is to sound to the head as the rest does to the teacher."""

    def __init__(
        self, encoder: nn.Module, difference: nn.Module, head: Head, *, window: int
    ) -> None:
        """``window`` in frames."""
        super().__init__()
        self.encoder = encoder
        self.difference = difference
        self.head = head
        self.window = window

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        references: Tensor,
        reference_lengths: Tensor,
        reference_of: Tensor,  # every input has one
        clip: Tensor,
        windows: Tensor,
        weights: Tensor,
    ) -> dict[str, Tensor]:
        """[B, S] and [B, R] against ``clip`` [B, K], ``windows`` [B, W, K]; ``weights`` [B, K]."""
        heard: Encoded = self.encoder(inputs, lengths).take(reference_of.tolist())
        reference: Encoded = self.encoder(references, reference_lengths)
        logits = self.head(self.difference(heard, reference).memory)
        spans = logits.unfold(1, self.window, self.window).movedim(-1, 2)
        loss_windows = distance(smooth_max(spans, 2), windows, weights[:, None])
        loss_clip = distance(smooth_max(logits, 1), clip, weights)
        loss = loss_windows + 0.5 * loss_clip
        return {"loss": loss, "windows": loss_windows.detach(), "clip": loss_clip.detach()}


class Telling(nn.Module):
    """Sentences from events alone: the decoder hears no frames."""

    def __init__(self, events: Events, decoder: nn.Module) -> None:
        super().__init__()
        self.events = events
        self.decoder = decoder

    def forward(
        self, inputs: Tensor, lengths: Tensor, tokens: Tensor, compared: Tensor
    ) -> dict[str, Tensor]:
        """Events [B, T, K] and captions [B, L] -> the mean loss per token; ``compared`` [B]."""
        real = torch.arange(inputs.shape[1], device=lengths.device) < lengths[:, None]
        memory = self.events.memory(torch.zeros((), device=inputs.device), inputs, compared)
        logits = self.decoder(Difference(memory, real, None), tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD)
        return {"loss": loss}
