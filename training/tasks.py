"""What a stage learns: a module that turns a batch into a loss, over the model's own parts.

Shapes: B clips, S samples, T encoder frames, K kinds, L tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.encoders import Cnn14
from training.data.augment import SpecAugment


class Tagging(nn.Module):
    """Encoder pretraining: which kinds sound in the clip, and in which frame.

    The clip's loss is the cross-entropy against the kinds present in equal shares; the frames'
    is binary for each kind. A silent clip counts in the frames' loss alone.
    """

    def __init__(self, encoder: Cnn14, kinds: int, frame_weight: float = 0.25) -> None:
        """``kinds`` is K; ``frame_weight`` scales the frames' loss, the clip's counts once."""
        super().__init__()
        self.encoder = encoder
        self.augment = SpecAugment()
        self.dropout = nn.Dropout(0.2)
        self.clip_head = nn.Linear(encoder.width, kinds)
        self.frame_head = nn.Linear(encoder.width, kinds)
        self.frame_weight = frame_weight
        nn.init.constant_(self.frame_head.bias, -4.0)  # most kinds are absent from most frames

    def logits(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S] of one length -> clip logits [B, K], frame logits [B, T, K]."""
        front_end = self.encoder.front_end
        log_mel = self.augment(front_end(samples))
        frames = torch.full((len(samples),), log_mel.shape[1], device=samples.device)
        x = self.encoder.from_log_mel(log_mel, frames).frames
        clip = self.clip_head(self.dropout(x.mean(dim=1) + x.amax(dim=1)))
        return clip, self.frame_head(self.dropout(x))

    def forward(self, samples: Tensor, active: Tensor) -> dict[str, Tensor]:
        """``samples`` [B, S], ``active`` [B, T, K] -> the loss and the clip logits."""
        clip, frames = self.logits(samples)
        present = active.amax(dim=1)
        shares = present / present.sum(dim=1, keepdim=True).clamp(min=1)
        clip_loss = -(shares * F.log_softmax(clip, dim=1)).sum(dim=1).mean()
        active = active[:, : frames.shape[1]]
        frame_loss = F.binary_cross_entropy_with_logits(frames, active, reduction="none")
        loss = clip_loss + self.frame_weight * frame_loss.sum(dim=2).mean()
        return {"loss": loss, "logits": clip.detach()}


class Captioning(nn.Module):
    """Audio difference learning: cross-entropy of the caption of the difference (equation 13).

    The encoder stays in eval mode, as the paper's frozen one does, also where it learns: its batch
    statistics are those of pretraining, so that inputs and references are normalized alike.
    """

    def __init__(self, captioner: CaptionerModel) -> None:
        super().__init__()
        self.captioner = captioner

    def train(self, mode: bool = True) -> Captioning:
        """Training mode for all but the encoder."""
        super().train(mode)
        self.captioner.encoder.eval()
        return self

    def forward(
        self,
        samples: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        reference_samples: Tensor,
        reference_lengths: Tensor,
        reference_rows: Tensor,
    ) -> dict[str, Tensor]:
        """``CaptionerModel.forward``'s arguments -> the mean loss per token, padding left out."""
        logits = self.captioner(
            samples, lengths, tokens, reference_samples, reference_lengths, reference_rows
        )
        padding = self.captioner.config.decoder.pad_token_id
        loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=padding)
        return {"loss": loss}
