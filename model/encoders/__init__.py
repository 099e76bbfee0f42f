"""Encoders: waveforms -> frames. One file each; ``config.json`` names one."""

from collections.abc import Callable

from model.contracts import Encoder
from model.encoders.byol_a import ByolA
from model.encoders.cnn14 import Cnn14
from model.encoders.convnext import ConvNext
from model.encoders.efficientat import EfficientAt
from model.encoders.ensemble import Ensemble
from model.encoders.htsat import Htsat
from model.encoders.mobilenet import MobileNet

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "byol_a": ByolA,
    "cnn14": Cnn14,
    "convnext": ConvNext,
    "efficientat": EfficientAt,
    "ensemble": Ensemble,
    "htsat": Htsat,
    "mobilenet": MobileNet,
}

__all__ = [
    "ENCODERS", "ByolA", "Cnn14", "ConvNext", "EfficientAt", "Ensemble", "Htsat", "MobileNet",
]  # fmt: skip
