"""EfficientAT's mn04_as (Florian Schmid, MIT) -> ``EfficientAt``, and what it says as a head.

Source: ``mn04_as_mAP_432.pt``, an asset of release v0.0.1 of fschmid56/EfficientAT on GitHub; a
plain state dict whose names are ours.
"""

from __future__ import annotations

from pathlib import Path

from model import checkpoint
from model.config import CaptionerConfig, EfficientAtConfig, NoAdapterConfig
from model.encoders import EfficientAt
from model.encoders.efficientat import EfficientAtNetwork
from model.events import Head
from model.published.state_dict import fill, read_state_dict

FILE = "mn04_as_mAP_432.pt"
URL = f"https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/{FILE}"
SIZE = 4_066_513
SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"

HEAD = {"classifier.2": "events.head.fc1", "classifier.5": "events.head.fc2"}
"""The published classifier's layers -> the event head's."""


def read_network(source: Path) -> EfficientAtNetwork:
    """The network with the published weights, in eval mode.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    network = EfficientAtNetwork()
    fill(network, read_state_dict(source), {part: part for part in ("features", "classifier")}, ())
    return network.eval()


def import_encoder(source: Path, target: Path) -> None:
    """Write the network as a directory that ``checkpoint.load_encoder`` reads.

    Raises:
        CheckpointError: ``source`` is not that file.
    """
    encoder = EfficientAt()
    encoder.network = read_network(source)
    config = CaptionerConfig(encoder=EfficientAtConfig(), adapter=NoAdapterConfig())
    checkpoint.save_encoder(target, encoder, config)


def fill_head(head: Head, network: EfficientAtNetwork) -> None:
    """Make ``head`` say of a frame what the published classifier says of a clip.

    One hidden layer with a hardswish, both are the very same function.
    """
    state = network.state_dict()
    head.load_state_dict(
        {
            f"{ours.removeprefix('events.head.')}.{kind}": state[f"{theirs}.{kind}"]
            for theirs, ours in HEAD.items()
            for kind in ("weight", "bias")
        }
    )
