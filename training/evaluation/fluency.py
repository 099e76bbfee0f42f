"""SPIDEr-FL's detector of fluency errors: ``echecker_clotho_audiocaps_base`` of FENSE.

A BERT fine-tuned on captions that were spoiled on purpose (Zhou et al., "Can Audio Captions Be
Evaluated with Image Caption Metrics?", arXiv 2110.04684). It is used where its two parts lie on
this machine, and nothing here fetches them:

- the checkpoint, asset ``echecker_clotho_audiocaps_base.ckpt`` of release V0.1 of
  https://github.com/blmoistawinde/fense, in ``$FENSE_DATA`` or ``~/.fense_data``;
- the configuration and the tokenizer of the BERT it was made from, ``bert-base-uncased``, in the
  Hugging Face cache (``hf download bert-base-uncased``).

Shapes: B captions, L tokens, C classes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

NAME = "echecker_clotho_audiocaps_base"
SHA256 = "1a719f090af70614bbdb9f9437530b7e133c48cfa4a58d964de0d47fc974a2fa"
THRESHOLD = 0.9
"""An error is one that is more probable than this, as in FENSE and in DCASE 2023."""
MAX_TOKENS = 64
BATCH_SIZE = 32


class Detector(nn.Module):
    """BERT with a linear layer on its first token."""

    def __init__(self, encoder: nn.Module, tokenizer: Any, width: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.clf = nn.Linear(width, classes)
        self.tokenizer = tokenizer

    def forward(self, **tokens: Tensor) -> Tensor:
        """A tokenizer's tensors [B, L] -> logits [B, C], of kinds of error and, last, of any."""
        logits: Tensor = self.clf(self.encoder(**tokens).last_hidden_state[:, 0])
        return logits

    @torch.no_grad()
    def errors(self, captions: Sequence[str]) -> list[bool]:
        """Which of the captions, lower case and without punctuation, are not fluent."""
        found: list[bool] = []
        for start in range(0, len(captions), BATCH_SIZE):
            tokens = self.tokenizer(
                list(captions[start : start + BATCH_SIZE]),
                truncation=True,
                max_length=MAX_TOKENS,
                padding=True,
                return_tensors="pt",
            )
            found += (self(**tokens)[:, -1].sigmoid() > THRESHOLD).tolist()
        return found


def load() -> Detector | None:
    """The published detector; None where it, or the tokenizer it needs, is not installed.

    Raises:
        ValueError: the file in its place is another one.
    """
    file = Path(os.environ.get("FENSE_DATA", "~/.fense_data")).expanduser() / f"{NAME}.ckpt"
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != SHA256:
            raise ValueError(f"{file} is not the published {NAME}: delete it, or fetch it again")
    stored = torch.load(file, map_location="cpu", weights_only=True)
    try:
        config = AutoConfig.from_pretrained(stored["model_type"], local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(stored["model_type"], local_files_only=True)
    except OSError:
        return None
    encoder = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    detector = Detector(encoder, tokenizer, config.hidden_size, stored["num_classes"])
    weights = stored["state_dict"]
    # A buffer of the Transformers of its day, which now counts positions itself.
    weights.pop("encoder.embeddings.position_ids", None)
    detector.load_state_dict(weights)
    return detector.eval()
