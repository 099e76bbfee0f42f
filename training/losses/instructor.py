"""INSTRUCTOR (Su et al. 2022): a published text encoder that EDTC reads captions through, frozen.

Shapes: B captions, L tokens, D features.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5EncoderModel

from training.datasets.errors import DataError
from training.losses.reading import fitted

INSTRUCTION = "Represent the audio caption:"


class Instructor(nn.Module):
    """A T5 encoder: a state of each piece of a caption, which stands behind the instruction."""

    def __init__(self, folder: Path, captions: PreTrainedTokenizerFast) -> None:
        """``folder`` as it is published (hkunlp/instructor-base); ``captions`` is the captioner's.

        Raises:
            DataError: there is no T5 encoder in it, or no tokenizer.
        """
        super().__init__()
        try:
            self.encoder = T5EncoderModel.from_pretrained(folder, local_files_only=True)
            self.words = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no T5 encoder with its tokenizer: {error}") from error
        self.captions = captions
        self.width = int(self.encoder.config.d_model)
        self.instruction = len(self.words(INSTRUCTION, add_special_tokens=False)["input_ids"])

    @torch.no_grad()
    def frames(self, tokens: Tensor, count: int) -> Tensor:
        """The captioner's tokens [B, L] -> [B, count, D]: cut, or filled up with zeros."""
        told = self.captions.batch_decode(tokens, skip_special_tokens=True)
        asked = [f"{INSTRUCTION} {text.strip()}" for text in told]
        pieces = self.words(asked, padding=True, return_tensors="pt").to(tokens.device)
        states = self.encoder(**pieces).last_hidden_state * pieces["attention_mask"][..., None]
        return fitted(states[:, self.instruction :], count)
