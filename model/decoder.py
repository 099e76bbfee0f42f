"""The caption decoder: BART built from its configuration, not from pretrained weights.

Shapes: B clips, T frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BartConfig, BartForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from model.types import Difference


@dataclass(frozen=True)
class Sequences:
    """Token sequences found for B clips, best first, N per clip."""

    tokens: Tensor
    """[B, N, L] without the start token, padded after the end-of-sentence token."""
    scores: Tensor
    """[B, N] mean log-probability per generated token."""


def bart_config(
    *,
    vocab_size: int,
    width: int,
    layers: int,
    heads: int,
    ffn: int,
    dropout: float,
    max_positions: int,
    bos_token_id: int,
    pad_token_id: int,
    eos_token_id: int,
) -> BartConfig:
    """BART with no encoder layer: positions and layer norm over the memory remain of it."""
    return BartConfig(
        vocab_size=vocab_size,
        d_model=width,
        encoder_layers=0,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=ffn,
        decoder_ffn_dim=ffn,
        dropout=dropout,
        max_position_embeddings=max_positions,
        bos_token_id=bos_token_id,
        pad_token_id=pad_token_id,
        eos_token_id=eos_token_id,
        decoder_start_token_id=eos_token_id,
    )


class Decoder(nn.Module):
    """Memory -> tokens: logits for training, generation for use, one set of weights."""

    def __init__(self, config: BartConfig) -> None:
        """``config`` is :func:`bart_config`'s."""
        super().__init__()
        # Any: Transformers' annotations of generate do not fit its own models.
        self.bart: Any = BartForConditionalGeneration(config)
        # A place in a clip longer than any heard in training then adds nothing, not noise.
        nn.init.zeros_(self.bart.model.encoder.embed_positions.weight)

    def forward(self, difference: Difference, tokens: Tensor) -> Tensor:
        """Logits [B, L, V] of each of ``tokens`` [B, L] given the memory and those before it."""
        logits: Tensor = self.bart(
            inputs_embeds=difference.memory,
            attention_mask=difference.mask,
            decoder_input_ids=self._shifted(tokens),
            use_cache=False,
        ).logits
        return logits

    @torch.inference_mode()
    def generate(
        self,
        difference: Difference,
        *,
        num_beams: int,
        num_captions: int,
        max_new_tokens: int,
        min_length: int,
        no_repeat_ngram_size: int,
        length_penalty: float,
        early_stopping: bool,
    ) -> Sequences:
        """Search captions for B memories: greedy with one beam, else beam search.

        ``max_new_tokens`` counts the end-of-sentence token but not the forced first one;
        ``min_length`` counts as Transformers does, start and first token included.
        """
        memory = self.bart.get_encoder()(
            inputs_embeds=difference.memory, attention_mask=difference.mask
        ).last_hidden_state
        beams = {}
        if num_beams > 1:
            beams = {"length_penalty": length_penalty, "early_stopping": early_stopping}
        tokens: Tensor = self.bart.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=difference.mask,
            do_sample=False,
            num_beams=num_beams,
            num_return_sequences=num_captions,
            max_length=max_new_tokens + 2,
            min_length=min(min_length, max_new_tokens + 1),
            no_repeat_ngram_size=no_repeat_ngram_size,
            forced_bos_token_id=self.bart.config.bos_token_id,
            forced_eos_token_id=self.bart.config.eos_token_id,
            **beams,
        )[:, 1:]
        rows = torch.arange(len(memory), device=memory.device).repeat_interleave(num_captions)
        scores = self._scores(memory[rows], difference.mask[rows], tokens)
        shape = (len(memory), num_captions)
        return Sequences(tokens.view(*shape, -1), scores.view(shape))

    def _scores(self, memory: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """[B, T, D], [B, L] -> [B] mean log-probability of the tokens after the forced first."""
        logits: Tensor = self.bart(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory),
            attention_mask=mask,
            decoder_input_ids=self._shifted(tokens),
            use_cache=False,
        ).logits
        each = logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        real: Tensor = tokens != self.bart.config.pad_token_id
        real[:, 0] = False
        return (each * real).sum(1) / real.sum(1).clamp(min=1)

    def _shifted(self, tokens: Tensor) -> Tensor:
        """What the decoder sees before each token: the start token, then all but the last."""
        start = tokens.new_full((len(tokens), 1), self.bart.config.decoder_start_token_id)
        return torch.cat([start, tokens[:, :-1]], dim=1)
