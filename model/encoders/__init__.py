"""Encoders: waveforms -> frames. One file each; the name in ``config.json`` picks one."""

from torch import nn

from model.encoders.cnn14 import Cnn14

ENCODERS: dict[str, type[nn.Module]] = {"cnn14": Cnn14}

__all__ = ["ENCODERS", "Cnn14"]
