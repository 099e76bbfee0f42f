"""Tags: the kinds of sound in scenes and in their differences, known because we mixed them.

Shapes: B clips, S samples, T encoder frames, D features, K kinds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.contracts import Encoder
from model.encoders import Cnn14
from model.types import Encoded
from training.scenes.augment import SpecAugment


class TagHead(nn.Module):
    """Which kinds sound in the clip, and in which frame: what pretraining asks of frames.

    The clip's loss is the cross-entropy against the kinds present in equal shares; the frames'
    is binary for each kind. A silent clip counts in the frames' loss alone.
    """

    def __init__(self, width: int, kinds: int, frame_weight: float = 0.25) -> None:
        """``kinds`` is K; ``frame_weight`` scales the frames' loss, the clip's counts once."""
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.clip = nn.Linear(width, kinds)
        self.frame = nn.Linear(width, kinds)
        self.frame_weight = frame_weight
        nn.init.constant_(self.frame.bias, -4.0)  # most kinds are absent from most frames

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, D] without padding -> logits of the clip [B, K] and of its frames [B, T, K]."""
        clip = self.clip(self.dropout(frames.mean(dim=1) + frames.amax(dim=1)))
        return clip, self.frame(self.dropout(frames))

    def loss(self, frames: Tensor, active: Tensor) -> Tensor:
        """[B, T, D] against ``active`` [B, T or more, K] of 0 and 1."""
        clip_logits, frame_logits = self(frames)
        present = active.amax(dim=1)
        shares = present / present.sum(dim=1, keepdim=True).clamp(min=1)
        clip_loss = -(shares * F.log_softmax(clip_logits, dim=1)).sum(dim=1).mean()
        active = active[:, : frames.shape[1]]
        frame_loss = F.binary_cross_entropy_with_logits(frame_logits, active, reduction="none")
        return clip_loss + self.frame_weight * frame_loss.sum(dim=2).mean()


class Tagging(nn.Module):
    """Encoder pretraining, first half: the kinds in a scene."""

    def __init__(self, encoder: Encoder, kinds: int) -> None:
        """``kinds`` is K."""
        super().__init__()
        self.encoder = encoder
        self.augment = SpecAugment()
        self.head = TagHead(encoder.width, kinds)

    def forward(self, inputs: Tensor, lengths: Tensor, active: Tensor) -> dict[str, Tensor]:
        """Waveforms [B, S] of one length, ``active`` [B, T, K] -> the loss."""
        encoded = _encode_augmented(self.encoder, self.augment, inputs, lengths)
        return {"loss": self.head.loss(encoded.frames, active)}


class Comparing(nn.Module):
    """Encoder pretraining, second half: the kinds in two scenes and in their difference.

    The diff block learns here what it is for from labels, which say at once what a caption's
    words say only in the end.
    """

    def __init__(self, captioner: CaptionerModel, kinds: int) -> None:
        """All of the captioner but its decoder learns; ``kinds`` is K."""
        super().__init__()
        self.encoder = captioner.encoder
        self.adapter = captioner.adapter
        self.difference = captioner.difference
        self.augment = SpecAugment()
        self.head = TagHead(captioner.adapter.width, kinds)

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor,
        references: Tensor,
        reference_lengths: Tensor,
        reference_of: Tensor,
        active: Tensor,
    ) -> dict[str, Tensor]:
        """Waveforms [B, S] and a reference [B, S] of each, all of one length -> the loss.

        ``active`` [B, 3, T, K] is the input's, the reference's, the difference's. Inputs and
        references go through the encoder as one batch, so that its batch statistics are those of
        both.
        """
        encoded = _encode_augmented(
            self.encoder,
            self.augment,
            torch.cat([inputs, references]),
            torch.cat([lengths, reference_lengths]),
        )
        both = self.adapter(encoded)
        count = len(inputs)
        memory = self.difference(
            both.take(reference_of.tolist()), both.take(range(count, 2 * count))
        ).memory
        scenes = self.head.loss(both.frames, active[:, :2].transpose(0, 1).flatten(0, 1))
        return {"loss": scenes + self.head.loss(memory, active[:, 2])}


def _encode_augmented(
    encoder: Encoder, augment: SpecAugment, samples: Tensor, lengths: Tensor
) -> Encoded:
    assert isinstance(encoder, Cnn14)  # augmentation comes between its front end and its network
    log_mel = augment(encoder.front_end(samples))
    return encoder.from_log_mel(log_mel, encoder.front_end.frame_counts(lengths))
