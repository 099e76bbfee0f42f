"""Adapters: an encoder's frames -> the decoder's width. ``config.json`` names one."""

from collections.abc import Callable

from model.adapters.edtc import EdtcAdapter
from model.adapters.linear import LinearAdapter
from model.adapters.none import NoAdapter
from model.adapters.projection import ProjectionAdapter
from model.contracts import Adapter

ADAPTERS: dict[str, Callable[..., Adapter]] = {
    "edtc": EdtcAdapter,
    "linear": LinearAdapter,
    "none": NoAdapter,
    "projection": ProjectionAdapter,
}

__all__ = ["ADAPTERS", "EdtcAdapter", "LinearAdapter", "NoAdapter", "ProjectionAdapter"]
