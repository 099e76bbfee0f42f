"""Distillation: what the head says of frames is to be what the teacher says of windows and clips.

A window is the teacher's, of ``WINDOW`` frames; windows lie side by side.
Shapes: B clips, S samples, T frames, W windows, K kinds, D features.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.contracts import DiffBlock, Encoder
from model.encoders.batches import first
from model.encoders.efficientat import WIDTH, WINDOW
from model.events import Head
from model.types import Encoded

UNSURE = (1e-4, 1 - 1e-4)
"""No probability counts as nearer to none or to one."""


class Hearing(nn.Module):
    """Cross-entropy against the teacher's opinions, and the cosine of its features."""

    def __init__(self, encoder: Encoder, head: Head, *, cosine: float = 1.0) -> None:
        """``cosine`` weighs the distance between the features."""
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.project = nn.Linear(head.fc1.in_features, WIDTH)
        self.cosine = cosine

    def forward(
        self, inputs: Tensor, lengths: Tensor, clip: Tensor, windows: Tensor, features: Tensor
    ) -> dict[str, Tensor]:
        """Waveforms [B, S] against ``clip`` [B, K], ``windows`` [B, W, K], ``features`` [B, D]."""
        encoded = self.encoder(inputs, lengths)
        loss = opinions(self.head(encoded.frames), clip, windows)
        projected = self.project(encoded.frames.mean(dim=1))
        away = 1 - F.cosine_similarity(projected, features.float(), dim=1).mean()
        return {"loss": loss + self.cosine * away}


class Differing(nn.Module):
    """What the diff block leaves of the events is to be what the teacher says of the rest."""

    def __init__(self, captioner: CaptionerModel) -> None:
        """Its encoder and its events are frozen."""
        super().__init__()
        self.captioner = captioner

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
        """What the encoder takes, against ``clip`` [B, K], ``windows`` [B, W, K].

        ``weights`` [B, K].
        """
        captioner = self.captioner
        assert captioner.events is not None
        heard = captioner.encode(inputs, lengths).take(reference_of.tolist())
        left = captioner.difference(heard, captioner.encode(references, reference_lengths))
        logits = captioner.events.probabilities(left.memory).clamp(*UNSURE).logit()
        return {"loss": opinions(logits, clip, windows, weights)}


class Rest(nn.Module):
    """Difference distillation on kept frames: a tagger thinks of what is left as of the clip."""

    def __init__(self, difference: DiffBlock, classifier: nn.Module) -> None:
        """``classifier``: frames [..., D] -> logits [..., K]."""
        super().__init__()
        self.difference = difference
        self.classifier = classifier

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        references: Tensor,
        reference_lengths: Tensor,
        reference_of: Tensor,  # noqa: ARG002 - every input has one
        rest: Tensor,
    ) -> dict[str, Tensor]:
        """Frames [B, T, D], their references [B, R, D] and the clips' own [B, T, D]."""
        heard = Encoded(inputs, first(lengths, inputs.shape[1]))
        left = self.difference(
            heard, Encoded(references, first(reference_lengths, references.shape[1]))
        )
        wanted = self.classifier(rest).sigmoid()
        return {"loss": distance(self.classifier(left.memory), wanted)}


def opinions(
    logits: Tensor, clip: Tensor, windows: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Of frames [B, T, K] against ``clip`` [B, K] and ``windows`` [B, W, K], kinds weighted."""
    spans = logits.unfold(1, WINDOW, WINDOW).movedim(-1, 2)
    each = None if weights is None else weights[:, None]
    loss = distance(smooth_max(spans, 2), windows, each)
    return loss + 0.5 * distance(smooth_max(logits, 1), clip, weights)


def smooth_max(logits: Tensor, dim: int) -> Tensor:
    """The logarithm of the mean of exponentials: between the mean and the maximum."""
    return logits.logsumexp(dim) - math.log(logits.shape[dim])


def distance(logits: Tensor, probabilities: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, summed over the (weighted) kinds and averaged over the rest."""
    loss = F.binary_cross_entropy_with_logits(logits, probabilities.float(), reduction="none")
    return (loss if weights is None else loss * weights).sum(dim=-1).mean()
