"""EfficientAT's mn04_as (Florian Schmid, MIT) -> encoder and event head of a checkpoint.

Its classifier is one hidden layer with a hardswish, as the event head is: applied to a frame's
features in place of a whole clip's, it is the very same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from model.config import FetchedConfig
from model.encoders.efficientat import EfficientAtNetwork
from model.published.state_dict import fill, read_state_dict

FETCHED = FetchedConfig(
    file="efficientat.safetensors",
    keys=("encoder.network.", "events.head."),
    url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
    size=4_066_513,
    sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    licence="MIT",
    source="Florian Schmid (fschmid56/EfficientAT, release v0.0.1)",
)
"""For the ``config.json`` of a checkpoint whose encoder is this network."""

HEAD = {"classifier.2": "events.head.fc1", "classifier.5": "events.head.fc2"}
"""The published classifier's layers -> the event head's."""


def read(file: Path) -> dict[str, Tensor]:
    """The published file -> weights by their names in a checkpoint.

    Raises:
        CheckpointError: it is not that network's state dict; the message says what is wrong.
    """
    return convert(read_state_dict(file))


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict -> weights by their names in a checkpoint.

    Raises:
        CheckpointError: it is not that network's.
    """
    network = EfficientAtNetwork()
    fill(network, state, {"features": "features", "classifier": "classifier"}, dropped=())
    weights = {f"encoder.network.{key}": value for key, value in network.state_dict().items()}
    for theirs, ours in HEAD.items():
        for name in ("weight", "bias"):
            weights[f"{ours}.{name}"] = state[f"{theirs}.{name}"].clone()
    return weights
