"""HTSAT, as its authors trained it on AudioSet (RetroCirce/HTS-Audio-Transformer, MIT) -> ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from model import checkpoint
from model.config import CaptionerConfig, HtsatConfig
from model.encoders import Htsat
from model.published.state_dict import fill, read_state_dict

PREFIX = "sed_model."
"""Of all names in ``HTSAT_AudioSet_Saved_1.ckpt``."""
_BLOCK = {
    "norm1": "norm1",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.project",
    "attn.relative_position_bias_table": "attention.bias",
    "norm2": "norm2",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}
_DROPPED = (
    "spectrogram_extractor.",
    "logmel_extractor.",
    "tscam_conv.",
    "head.",
)
"""Their front end, whose filters ours has computed, and the tagger's last layers."""
_COMPUTED = (".attn.relative_position_index", ".attn_mask")


def layout(config: HtsatConfig, theirs: str = "", ours: str = "") -> dict[str, str]:
    """Their modules -> ours, each with its prefix."""
    found = {
        "bn0": "norm0",
        "patch_embed.proj": "patches.project",
        "patch_embed.norm": "patches.norm",
        "norm": "norm",
    }
    for stage, depth in enumerate(config.depths):
        for block in range(depth):
            for their, our in _BLOCK.items():
                found[f"layers.{stage}.blocks.{block}.{their}"] = (
                    f"stages.{stage}.blocks.{block}.{our}"
                )
        if stage + 1 < len(config.depths):
            found[f"layers.{stage}.downsample.norm"] = f"stages.{stage}.merge.norm"
            found[f"layers.{stage}.downsample.reduction"] = f"stages.{stage}.merge.reduce"
    return {f"{theirs}{their}": f"{ours}{our}" for their, our in found.items()}


def dropped(keys: Collection[str], prefix: str = "") -> Iterator[str]:
    """Those of ``keys`` that are known and of no use to us."""
    for key in keys:
        own = key.removeprefix(prefix)
        if key.startswith(prefix) and (own.startswith(_DROPPED) or own.endswith(_COMPUTED)):
            yield key


def import_encoder(source: Path, target: Path) -> None:
    """Write the AudioSet checkpoint as a directory that ``checkpoint.load_encoder`` reads.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    state = read_state_dict(source, "state_dict")
    config = HtsatConfig()
    encoder = Htsat(**config.keywords())
    fill(encoder, state, layout(config, PREFIX), [*dropped(state, PREFIX)])
    checkpoint.save_encoder(target, encoder, CaptionerConfig(encoder=config))
