"""Explanations of how two clips differ, and sentences of no clips (ADIFF's stages).

Shapes: B pairs, S samples, L tokens, Q those of a prompt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.captioner import CaptionerModel
from model.decoders import Gpt2Decoder
from model.types import Difference
from training.losses.captioning import per_token


class Explaining(nn.Module):
    """Cross-entropy of the answers; the encoder stays in eval mode."""

    def __init__(self, captioner: CaptionerModel) -> None:
        """Its decoder answers prompts."""
        super().__init__()
        self.captioner = captioner

    def train(self, mode: bool = True) -> Explaining:
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
        prompt: Tensor,
    ) -> dict[str, Tensor]:
        """What the encoder takes, [B, S] and [B, S], answers [B, L] and prompts [B, Q]."""
        decoder = self.captioner.decoder
        assert isinstance(decoder, Gpt2Decoder)
        between = self.between(inputs, lengths, references, reference_lengths)
        return {"loss": per_token(decoder(between, tokens, prompt), tokens, decoder)}

    def between(
        self, inputs: Tensor, lengths: Tensor, references: Tensor, reference_lengths: Tensor
    ) -> Difference:
        """What the diff block makes of [B, S] and [B, S]."""
        with torch.autocast(inputs.device.type, enabled=False):  # frozen: as it will be heard
            first = self.captioner.encode(inputs, lengths)
            second = self.captioner.encode(references, reference_lengths)
        return self.captioner.difference(first, second)


class Speaking(nn.Module):
    """Cross-entropy of sentences of nothing: the language model alone."""

    def __init__(self, decoder: Gpt2Decoder, before: int) -> None:
        """``before``: how many vectors stand before the words of an answer."""
        super().__init__()
        self.decoder = decoder
        self.before = before

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        """[B, L] -> the mean loss per token."""
        return {"loss": per_token(self.decoder.speak(tokens, self.before), tokens, self.decoder)}
