"""Decoders: memory -> tokens, for training and for search. ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import Decoder
from model.decoders.bart import BartDecoder

DECODERS: dict[str, Callable[..., Decoder]] = {"bart": BartDecoder}

__all__ = ["DECODERS", "BartDecoder"]
