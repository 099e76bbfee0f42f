"""EDTC: captions from sound, and a twin TRANSLATOR that reads them (Tan et al. 2024, section 3).

The twin learns what text means in TRANSLATOR's terms; its weights are mixed into TRANSLATOR's after
every step. It, and the text encoder that it reads through, end with training.

Shapes: B clips, T encoder frames, D features, L tokens.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from model.adapters import EdtcAdapter
from model.captioner import CaptionerModel
from training.losses.captioning import per_token
from training.losses.disentangling import info_nce
from training.losses.instructor import Instructor
from training.losses.reading import CLIP_SCALE, TextEncoder

BETA = 0.95
"""TRANSLATOR's own share after a step; the paper's best."""
SMOOTHING = 0.1


class Twinned(nn.Module):
    """Cross-entropy of the caption, and of which caption of the batch is a clip's (CLIP's loss)."""

    def __init__(self, captioner: CaptionerModel, text: TextEncoder | Instructor) -> None:
        """Text of another width than TRANSLATOR's is brought to it by a layer that learns.

        Raises:
            ValueError: the adapter has no TRANSLATOR.
        """
        super().__init__()
        adapter = captioner.adapter
        if not isinstance(adapter, EdtcAdapter) or adapter.translator is None:
            raise ValueError("a twin needs an adapter with a TRANSLATOR")
        self.captioner = captioner
        self.twin = deepcopy(adapter.translator)
        self.text = text.requires_grad_(False)
        same = text.width == adapter.width
        self.project = nn.Identity() if same else nn.Linear(text.width, adapter.width)
        self.scale = nn.Parameter(torch.tensor(CLIP_SCALE))  # the paper prints raw dot products

    @property
    def adapter(self) -> EdtcAdapter:
        """The captioner's, which holds its weights: to load them they have one name."""
        return cast(EdtcAdapter, self.captioner.adapter)

    def train(self, mode: bool = True) -> Twinned:
        """Training mode for all but the encoders."""
        super().train(mode)
        self.captioner.encoder.eval()
        self.text.eval()
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
        """What the encoder takes, [B, S], references [R, S], captions [B, L] -> loss and parts.

        Only clips without a reference are matched with their captions: of the others, the caption
        is of a part. In evaluation the loss is that of captioning: what a captioner is chosen by.
        """
        captioner = self.captioner
        heard, whole = self.adapter.adapt(captioner.encoder(inputs, lengths))
        others = captioner.encode_references(references, reference_lengths, heard)
        left = captioner.compare(heard, others, reference_of)
        logits = captioner.decoder(left, tokens)
        captioning = per_token(logits, tokens, captioner.decoder, SMOOTHING)
        alone = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
        alone[reference_of] = False
        matching = captioning.new_zeros(())
        if int(alone.sum()) > 1:
            read = self.project(self.text.frames(tokens[alone], self.adapter.window))
            matching = info_nce(whole[alone], self.twin(read)[1], (-self.scale).exp())
        loss = captioning + matching if self.training else captioning
        return {"loss": loss, "captioning": captioning, "matching": matching}

    @torch.no_grad()
    def merge(self, beta: float = BETA) -> None:
        """After each step: W <- beta W + (1 - beta) W_twin, then W_twin <- W (section 3.3)."""
        assert self.adapter.translator is not None
        pairs = zip(self.adapter.translator.parameters(), self.twin.parameters(), strict=True)
        for own, twin in pairs:
            own.lerp_(twin, 1 - beta)
            twin.copy_(own)
