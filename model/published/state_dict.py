"""Weights of others -> ours: explicit key maps, nothing run, nothing silently dropped."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from model.errors import CheckpointError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors without running anything it may hold.

    They may lie under ``state_dict``, beside what else a training run wrote.

    Raises:
        CheckpointError: it cannot be read, or it holds something else, too.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} is refused: it is damaged or holds code") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise CheckpointError(f"{path} is not a flat state dict of tensors")
    return state


def fill(
    module: nn.Module,
    state: Mapping[str, Tensor],
    layout: Mapping[str, str],
    dropped: Collection[str],
) -> None:
    """Load published weights; ``layout`` maps their modules' names to ours.

    Raises:
        CheckpointError: a key is missing, unknown (in neither ``layout`` nor ``dropped``), of
            another shape or dtype, or unequal where ours are tied; the message names it.
    """
    own = module.state_dict()
    theirs = {
        f"{name}{key.removeprefix(ours)}": key
        for name, ours in layout.items()
        for key in own
        if key.startswith(f"{ours}.")
    }
    _refuse(f"{name} is missing" for name in theirs if name not in state)
    _refuse(f"{name} is unknown" for name in state if name not in theirs and name not in dropped)
    _refuse(
        f"{name} is {_kind(state[name])}, not {_kind(own[key])}"
        for name, key in theirs.items()
        if _kind(state[name]) != _kind(own[key])
    )
    module.load_state_dict({key: state[name] for name, key in theirs.items()})
    loaded = module.state_dict()
    _refuse(
        f"{name} differs from the weight that it is tied to"
        for name, key in theirs.items()
        if not torch.equal(state[name], loaded[key])
    )


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _refuse(problems: Iterable[str], shown: int = 5) -> None:
    found = list(problems)
    if found:
        more = f" and {len(found) - shown} more" if len(found) > shown else ""
        raise CheckpointError(f"not the published weights: {', '.join(found[:shown])}{more}")
