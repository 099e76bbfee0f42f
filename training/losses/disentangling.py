"""What changes between clips, and similarity-discrepancy disentanglement (Takeuchi et al. 2023).

The features of both clips are split in two. One half is to hold what the clips of a pair have in
common, and nothing that tells them apart from the other pairs' is lost on it; of the other halves
those of a pair are to be unlike. What judges that lives in training alone.

Shapes: B pairs, S samples, T and R frames, M features, L tokens, E features of an embedding.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model.captioner import CaptionerModel
from model.difference import Concentrated
from model.types import Difference, Encoded
from training.losses.captioning import per_token

When = Literal["early", "late"]
"""Of what enters the diff block, or of what leaves it (which the paper finds better)."""


class Disentangling(nn.Module):
    """Cross-entropy of what is said of each pair both ways, and the two losses on its halves."""

    def __init__(
        self,
        captioner: CaptionerModel,
        *,
        when: When | None = "late",
        weight: float = 0.5,
        temperature: float = 0.07,
        hidden: int = 768,
    ) -> None:
        """``weight`` is lambda; ``hidden`` that of the embedding networks. None: no such losses."""
        super().__init__()
        self.captioner = captioner
        self.when = when
        self.weight = weight
        self.temperature = temperature
        half = captioner.config.decoder.width // 2
        self.similar = Embedding(half, hidden) if when else None
        self.discrepant = Embedding(half, hidden) if when else None

    def train(self, mode: bool = True) -> Disentangling:
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
        reference_of: Tensor,  # noqa: ARG002 - every input has one
        tokens: Tensor,
        inverse_tokens: Tensor,
    ) -> dict[str, Tensor]:
        """What the encoder takes, [B, S] and [B, S], and captions [B, L] of either direction."""
        block = self.captioner.difference
        with torch.autocast(inputs.device.type, enabled=False):  # frozen: as it will be heard
            input = self.captioner.encode(inputs, lengths)  # noqa: A001
            reference = self.captioner.encode(references, reference_lengths)
        inverse = self._told(block(reference, input), inverse_tokens)
        if self.when is None:
            return {"loss": (self._told(block(input, reference), tokens) + inverse) / 2}
        assert isinstance(block, Concentrated)
        entered = block.enter(reference, 0), block.enter(input, 1)
        left = block.attend(*entered)
        told = (self._told(block.join(*left), tokens) + inverse) / 2
        before, after = left if self.when == "late" else entered
        return {"loss": told + self.weight * self._apart(before, after)}

    def _told(self, difference: Difference, tokens: Tensor) -> Tensor:
        decoder = self.captioner.decoder
        return per_token(decoder(difference, tokens), tokens, decoder)

    def _apart(self, before: Encoded, after: Encoded) -> Tensor:
        """L_S + L_D of both clips' frames, [B, R, M] and [B, T, M]."""
        assert self.similar is not None
        assert self.discrepant is not None
        half = before.frames.shape[2] // 2
        with torch.autocast(before.frames.device.type, enabled=False):
            alike = [self.similar(clip.frames[..., :half].float(), clip.mask)
                     for clip in (before, after)]  # fmt: skip
            unlike = [self.discrepant(clip.frames[..., half:].float(), clip.mask)
                      for clip in (before, after)]  # fmt: skip
            return info_nce(alike[0], alike[1], self.temperature) + cosine(unlike[0], unlike[1])


class Embedding(nn.Module):
    """A bidirectional LSTM, averaged over time."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """[B, T, M / 2], where ``mask`` [B, T] -> [B, E]; padding takes no part."""
        counts = mask.sum(dim=1)
        packed = pack_padded_sequence(frames, counts.cpu(), batch_first=True, enforce_sorted=False)
        found, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return found.sum(dim=1) / counts[:, None]


def info_nce(ones: Tensor, others: Tensor, temperature: float | Tensor) -> Tensor:
    """Of [B, E] and [B, E]: each is told from the others' by its own, both ways averaged."""
    alike = F.normalize(ones, dim=1) @ F.normalize(others, dim=1).T / temperature
    own = torch.arange(len(ones), device=ones.device)
    return (F.cross_entropy(alike, own) + F.cross_entropy(alike.T, own)) / 2


def cosine(ones: Tensor, others: Tensor) -> Tensor:
    """The mean cosine of [B, E] and [B, E], pair by pair."""
    return F.cosine_similarity(ones, others, dim=1).mean()
