"""BYOL-A's published weights (nttcslab/byol-a) -> ``ByolA``.

They are under NTT's evaluation licence: whoever has accepted it may import them; they are part of
nothing that is published here, and nothing needs them.
"""

from __future__ import annotations

from pathlib import Path

from model import checkpoint
from model.config import ByolAConfig, CaptionerConfig, NormalizedLogMelConfig
from model.encoders import ByolA
from model.errors import CheckpointError
from model.published.state_dict import fill, read_state_dict

LATER = "features.8.weight"
"""The third convolution, which 2022's network has not."""


def import_encoder(source: Path, target: Path, mean: float, std: float) -> None:
    """Write the network of 2020 or 2022 as a directory that ``checkpoint.load_encoder`` reads.

    ``mean`` and ``std`` are those of log-mels: of one's own training set, as its authors advise.

    Raises:
        CheckpointError: ``source`` is not that network's; the message names what does not fit.
    """
    found = read_state_dict(source, under="state_dict")
    state = {key.removeprefix("model."): value for key, value in found.items()}
    try:
        hidden, flat = state["fc.0.weight"].shape
        last = len(state["fc.3.weight"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{source} is no network of BYOL-A's: {error} is missing") from error
    joined = LATER not in state
    config = ByolAConfig(
        front_end=NormalizedLogMelConfig(mean=mean, std=std),
        blocks=2 if joined else 3,
        hidden=hidden,
        width=last + flat if joined else last,
        joined=joined,
    )
    encoder = ByolA(**config.keywords())
    layout = {"fc.0": "fc1", "fc.3": "fc2"}
    for number in range(config.blocks):
        layout |= {
            f"features.{4 * number}": f"blocks.{number}.conv",
            f"features.{4 * number + 1}": f"blocks.{number}.norm",
        }
    fill(encoder, state, layout, dropped=())
    checkpoint.save_encoder(target, encoder, CaptionerConfig(encoder=config))
