"""Captions: cross-entropy of what is said of clips, of differences, and of events alone.

Shapes: B clips, R references, S samples, T encoder frames, K kinds, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.contracts import Decoder
from model.encoders.batches import first
from model.events import Events
from model.types import Difference


class Captioning(nn.Module):
    """Audio difference learning: cross-entropy of the caption of the difference (equation 13).

    The encoder stays in eval mode, as the paper's frozen one does, also where it learns: its batch
    statistics are those of pretraining, so that inputs and references are normalized alike.
    """

    def __init__(self, captioner: CaptionerModel, smoothing: float = 0.0) -> None:
        """``smoothing`` is the share of a token's probability that all tokens get."""
        super().__init__()
        self.captioner = captioner
        self.smoothing = smoothing

    def train(self, mode: bool = True) -> Captioning:
        """Training mode for all but the encoder."""
        super().train(mode)
        self.captioner.encoder.eval()
        return self

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        references: Tensor,
        reference_lengths: Tensor,
        reference_of: Tensor,
        tokens: Tensor,
    ) -> dict[str, Tensor]:
        """What the encoder takes, [B, S], and references [R, S] -> the mean loss per token.

        Padding is left out of the mean.
        """
        logits = self.captioner(
            inputs, lengths, tokens, references, reference_lengths, reference_of
        )
        return {"loss": per_token(logits, tokens, self.captioner.decoder, self.smoothing)}


class Telling(nn.Module):
    """Sentences from events alone: the decoder hears no frames."""

    def __init__(self, events: Events, decoder: Decoder) -> None:
        super().__init__()
        self.events = events
        self.decoder = decoder

    def forward(
        self, inputs: Tensor, lengths: Tensor, tokens: Tensor, compared: Tensor
    ) -> dict[str, Tensor]:
        """Events [B, T, K] and captions [B, L] -> the mean loss per token; ``compared`` [B]."""
        real = first(lengths, inputs.shape[1])
        memory = self.events.memory(torch.zeros((), device=inputs.device), inputs, compared)
        logits = self.decoder(Difference(memory, real, None), tokens)
        return {"loss": per_token(logits, tokens, self.decoder)}


def per_token(logits: Tensor, tokens: Tensor, decoder: Decoder, smoothing: float = 0.0) -> Tensor:
    """The mean over tokens [B, L], without padding, given logits [B, L, V]."""
    return F.cross_entropy(
        logits.flatten(0, 1),
        tokens.flatten(),
        ignore_index=decoder.pad_token_id,
        label_smoothing=smoothing,
    )
