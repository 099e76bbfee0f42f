"""Encoders: waveforms -> frames. One file each; ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import Encoder
from model.encoders.cnn14 import Cnn14
from model.encoders.efficientat import EfficientAt
from model.encoders.htsat import Htsat
from model.encoders.mobilenet import MobileNet

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "cnn14": Cnn14,
    "efficientat": EfficientAt,
    "htsat": Htsat,
    "mobilenet": MobileNet,
}

__all__ = ["ENCODERS", "Cnn14", "EfficientAt", "Htsat", "MobileNet"]
