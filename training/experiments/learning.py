"""One row, one seed: learns from the frozen encoder's frames.

Shapes: B clips, R references, T frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.types import Encoded
from training.captions.lexicon import normalize_caption
from training.captions.tokenizer import MAX_TOKENS
from training.experiments.features import Features
from training.experiments.rows import Row
from training.experiments.scenes import CaptionedClip

CONJUNCTION = "and"
"""What AL-MixGen joins two captions by."""


class StudySamples(Dataset[dict[str, Any]]):
    """Every clip once an epoch, in an order and with a caption and a mixture of its own.

    A sample is a function of the seed and its index alone.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        features: Features,
        tokenizer: PreTrainedTokenizerFast,
        row: Row,
        seed: int,
    ) -> None:
        self.clips = clips
        self.features = features
        self.tokenizer = tokenizer
        self.row = row
        self.seed = seed

    def __len__(self) -> int:
        """Samples of all epochs."""
        return self.row.epochs * len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``frames`` [T, D], ``reference`` [T, D] or None, ``tokens`` [L]."""
        epoch, place = divmod(index, len(self.clips))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.clips))
        number = int(order[place])
        rng = np.random.default_rng((self.seed, epoch, number))
        caption = self._caption(number, rng)
        heard, reference = self.features.clips[number], None
        choice = rng.random()
        if self.row.condition and choice < self.row.reference_share:
            drawn = self.features.mixed[self.row.condition][number]
            mixed = drawn[rng.integers(len(drawn))]
            heard, reference = mixed.input, mixed.reference
        elif choice < self.row.mixgen_share:
            joined = self.features.joined[number]
            other, heard = joined[rng.integers(len(joined))]
            caption = f"{caption} {CONJUNCTION} {self._caption(other, rng)}"
        tokens = self.tokenizer(caption, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        return {
            "frames": self._frames(heard),
            "reference": None if reference is None else self._frames(reference),
            "tokens": torch.tensor(tokens),
        }

    def _caption(self, number: int, rng: np.random.Generator) -> str:
        captions = self.clips[number].captions
        return normalize_caption(captions[rng.integers(len(captions))])

    def _frames(self, number: int) -> Tensor:
        return torch.from_numpy(self.features.frames[number]).float()


def collate(items: Sequence[dict[str, Any]], pad_token_id: int = 1) -> dict[str, Tensor]:
    """Pad to the arguments of ``FrameCaptioning.forward``."""
    rows = [row for row, item in enumerate(items) if item["reference"] is not None]
    clips = padded([item["frames"] for item in items])
    references = padded([items[row]["reference"] for row in rows]) if rows else clips.take([])
    return {
        "frames": clips.frames,
        "mask": clips.mask,
        "tokens": pad_sequence(
            [item["tokens"] for item in items], batch_first=True, padding_value=pad_token_id
        ),
        "references": references.frames,
        "reference_mask": references.mask,
        "reference_rows": torch.tensor(rows, dtype=torch.long),
    }


def padded(clips: Sequence[Tensor]) -> Encoded:
    """Frames [T, D] of each clip -> [B, T, D]."""
    whole = [Encoded(clip[None], torch.ones(1, len(clip), dtype=torch.bool)) for clip in clips]
    return Encoded.join(whole)


class FrameCaptioning(nn.Module):
    """Audio difference learning on a frozen encoder's frames (equation 13)."""

    def __init__(self, captioner: CaptionerModel) -> None:
        """All of the captioner but its encoder learns."""
        super().__init__()
        self.adapter = captioner.adapter
        self.difference = captioner.difference
        self.decoder = captioner.decoder
        self.compare = captioner.compare

    def adapt(self, frames: Tensor, mask: Tensor) -> Encoded:
        """The encoder's frames -> Z."""
        return self.adapter(Encoded(frames, mask))

    def forward(
        self,
        frames: Tensor,
        mask: Tensor,
        tokens: Tensor,
        references: Tensor,
        reference_mask: Tensor,
        reference_rows: Tensor,
    ) -> dict[str, Tensor]:
        """Frames [B, T, D] and references [R, T, D] -> the mean loss per token."""
        clips = self.adapt(frames, mask)
        compared = self.compare(clips, self.adapt(references, reference_mask), reference_rows)
        logits = self.decoder(compared, tokens)
        padding = self.decoder.pad_token_id
        loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=padding)
        return {"loss": loss}
