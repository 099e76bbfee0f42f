"""What our search is measured against: Transformers' ``generate`` on the same weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    LogitsProcessor,
    LogitsProcessorList,
)
from transformers.modeling_outputs import BaseModelOutput

from model.decoders import BartDecoder
from model.types import Difference


def transformers_bart(decoder: BartDecoder) -> Any:
    """Transformers' own modules with a copy of our decoder's weights, in eval mode.

    Any: Transformers' annotations of ``generate`` do not fit its own models.
    """
    ours = decoder.bart
    layers = ours.model.decoder.layers
    theirs = BartForConditionalGeneration(
        BartConfig(
            vocab_size=ours.model.shared.num_embeddings,
            d_model=ours.model.shared.embedding_dim,
            encoder_layers=len(ours.model.encoder.layers),
            decoder_layers=len(layers),
            encoder_attention_heads=ours.heads,
            decoder_attention_heads=ours.heads,
            encoder_ffn_dim=layers[0].fc1.out_features,
            decoder_ffn_dim=layers[0].fc1.out_features,
            dropout=ours.model.decoder.dropout.p,
            max_position_embeddings=decoder.max_positions,
            bos_token_id=decoder.bos_token_id,
            pad_token_id=decoder.pad_token_id,
            eos_token_id=decoder.eos_token_id,
            decoder_start_token_id=decoder.eos_token_id,
        )
    )
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    tied = {
        f"{name}.weight"
        for name in ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens")
    }
    assert not found.unexpected_keys
    assert set(found.missing_keys) == tied
    words = ours.model.shared.weight
    return theirs.to(words.device, words.dtype).eval()


class NoRepeatWindow(LogitsProcessor):
    """``no_repeat_window``, as a user of Transformers would have it."""

    def __init__(self, window: int) -> None:
        self._window = window

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Tokens [B, L], logits [B, V] -> [B, V]."""
        return scores.scatter(1, input_ids[:, -self._window :], -torch.inf)


@torch.inference_mode()
def generate(
    bart: Any,
    difference: Difference,
    *,
    num_captions: int,
    max_new_tokens: int,
    min_length: int,
    no_repeat_window: int = 0,
    **options: Any,
) -> Tensor:
    """[B, N, L] tokens without the start token; options as ``BartDecoder.generate`` has them.

    ``bart`` is what ``transformers_bart`` returned.
    """
    memory = bart.get_encoder()(
        inputs_embeds=difference.memory, attention_mask=difference.mask
    ).last_hidden_state
    if options["num_beams"] == 1:  # Transformers warns of settings that a greedy search ignores
        options = {
            k: v for k, v in options.items() if k not in ("length_penalty", "early_stopping")
        }
    windows = [NoRepeatWindow(no_repeat_window)] if no_repeat_window else []
    tokens: Tensor = bart.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=memory),
        attention_mask=difference.mask,
        do_sample=False,
        num_return_sequences=num_captions,
        max_length=max_new_tokens + 2,
        min_length=min(min_length, max_new_tokens + 1),
        forced_bos_token_id=bart.config.bos_token_id,
        forced_eos_token_id=bart.config.eos_token_id,
        logits_processor=LogitsProcessorList(windows),
        **options,
    )[:, 1:]
    return tokens.unflatten(0, (-1, num_captions))
