"""The captions' tokenizer: byte-level BPE in BART's manner, learned from the training captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import RobertaProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.captions.wording import normalize_caption

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""In the order of BART's token ids 0 to 3."""
PAD = SPECIAL.index("<pad>")
MAX_TOKENS = 64
STYLES = {"audiocaps": "<s>", "clotho": "<clotho>"}
"""Whose manner a caption is in -> the token that it starts with; search starts with the first."""


def train_tokenizer(
    captions: Iterable[str], vocab_size: int, styles: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Learn a vocabulary of at most ``vocab_size`` tokens from normalized captions.

    The tokens of ``styles`` are part of it.
    """
    more = [STYLES[style] for style in styles if STYLES[style] not in SPECIAL]
    bpe = ByteLevelBPETokenizer(add_prefix_space=True)
    bpe.train_from_iterator(
        (normalize_caption(caption) for caption in captions),
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[*SPECIAL, *more],
        show_progress=False,
    )
    bpe.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe._tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=more,
        model_max_length=MAX_TOKENS,
    )


def tokenize(tokenizer: PreTrainedTokenizerFast, caption: str, style: str = "audiocaps") -> Tensor:
    """[L]: the normalized caption between start and end, cut to ``MAX_TOKENS``."""
    found = tokenizer(normalize_caption(caption), truncation=True, max_length=MAX_TOKENS)
    tokens = torch.tensor(found["input_ids"])
    tokens[0] = cast(int, tokenizer.convert_tokens_to_ids(STYLES[style]))
    return tokens
