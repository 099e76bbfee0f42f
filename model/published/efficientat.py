"""EfficientAT's mn04_as (Florian Schmid, MIT) -> ``EfficientAt``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from model import checkpoint
from model.config import CaptionerConfig, EfficientAtConfig, FetchedConfig, NoAdapterConfig
from model.encoders import EfficientAt
from model.encoders.efficientat import EfficientAtNetwork
from model.published.state_dict import fill, read_state_dict

FILE = "mn04_as_mAP_432.pt"
FETCHED = FetchedConfig(
    file="efficientat.safetensors",
    keys=("encoder.network.",),
    url=f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{FILE}",
    size=4_066_513,
    sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    licence="MIT",
    source="Florian Schmid (fschmid56/EfficientAT, release v0.0.1)",
)
"""For the ``config.json`` of a checkpoint whose encoder is this network."""


def read_network(source: Path) -> EfficientAtNetwork:
    """The network with the published weights, in eval mode.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    return _network(read_state_dict(source))


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
    network = _network(state)
    return {f"encoder.network.{key}": value for key, value in network.state_dict().items()}


def import_encoder(source: Path, target: Path) -> None:
    """Write the network as a directory that ``checkpoint.load_encoder`` reads.

    Raises:
        CheckpointError: ``source`` is not that file.
    """
    encoder = EfficientAt()
    encoder.network = read_network(source)
    config = CaptionerConfig(encoder=EfficientAtConfig(), adapter=NoAdapterConfig())
    checkpoint.save_encoder(target, encoder, config)


def _network(state: Mapping[str, Tensor]) -> EfficientAtNetwork:
    network = EfficientAtNetwork()
    fill(network, state, {part: part for part in ("features", "classifier")}, dropped=())
    return network.eval()
