"""Decoders: memory -> tokens, for training and for search. ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import Decoder
from model.decoders.bart import BartDecoder
from model.decoders.gpt2 import Gpt2Decoder

DECODERS: dict[str, Callable[..., Decoder]] = {"bart": BartDecoder, "gpt2": Gpt2Decoder}

__all__ = ["DECODERS", "BartDecoder", "Gpt2Decoder"]
