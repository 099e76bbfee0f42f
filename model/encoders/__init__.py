"""Encoders: waveforms -> frames. One file each; ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import Encoder
from model.encoders.cnn14 import Cnn14

ENCODERS: dict[str, Callable[..., Encoder]] = {"cnn14": Cnn14}

__all__ = ["ENCODERS", "Cnn14"]
