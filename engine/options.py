"""What a request may choose of a search, and what holds where it says nothing."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

from model.errors import OptionsError
from model.types import MAX_BEAMS, MAX_NEW_TOKENS, GenerationOptions

_LOOK_AHEAD = 2
"""Tokens after those of a caption: one that tells whether its last word is whole, and the end."""
_ONE_TOKEN = 3
"""The least ``min_length``: the start, the forced first token, and one that says something."""


def settings(own: GenerationConfig, options: GenerationOptions) -> dict[str, Any]:
    """The decoder's: the checkpoint's ``own``, changed by the options.

    A sentence is searched for to its end, however few of its tokens are wanted. Raises OptionsError
    if the options cannot be met.
    """
    beams = own.num_beams if options.num_beams is None else options.num_beams
    most = tokens(own, options)
    if not 1 <= beams <= MAX_BEAMS:
        raise OptionsError(f"num_beams must be 1 to {MAX_BEAMS}, not {beams}")
    if not 1 <= options.num_captions <= beams:
        raise OptionsError(
            f"num_captions must be 1 to num_beams ({beams}), not {options.num_captions}"
        )
    if not 1 <= most <= MAX_NEW_TOKENS:
        raise OptionsError(f"max_new_tokens must be 1 to {MAX_NEW_TOKENS}, not {most}")
    return {
        "num_beams": beams,
        "num_captions": options.num_captions,
        "max_new_tokens": max(own.max_length - 2, most + _LOOK_AHEAD),
        "min_length": max(own.min_length, _ONE_TOKEN),
        "no_repeat_ngram_size": own.no_repeat_ngram_size,
        "no_repeat_window": getattr(own, "no_repeat_window", 0),
        "length_penalty": own.length_penalty,
        "early_stopping": own.early_stopping,
    }


def tokens(own: GenerationConfig, options: GenerationOptions) -> int:
    """How many a caption may have, the end of the sentence not counted."""
    most = options.max_new_tokens
    most = defaults(own).max_new_tokens if most is None else most
    assert most is not None
    return most


def defaults(own: GenerationConfig) -> GenerationOptions:
    """What holds where a request says nothing; none of it None."""
    longest = own.max_length - 2 - _LOOK_AHEAD
    return GenerationOptions(own.num_beams, 1, min(max(longest, 1), MAX_NEW_TOKENS))
