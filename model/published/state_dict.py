"""Weights of others -> ours: explicit key maps, nothing run, nothing silently dropped."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from model.errors import CheckpointError


def read_state_dict(path: Path, under: str | None = None) -> dict[str, Tensor]:
    """Read a file of named tensors, PyTorch's or safetensors, without running what it may hold.

    They may lie ``under`` a key, beside what else a training run wrote.

    Raises:
        CheckpointError: it cannot be read, or it holds something else, too.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path} is refused: it is damaged or holds code") from error
    if under is not None and isinstance(state, dict) and isinstance(state.get(under), dict):
        state = state[under]
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
    tied: Mapping[str, str] | None = None,
) -> None:
    """Load published weights; ``layout`` maps the names of their modules or weights to ours.

    ``tied`` are weights that they hold twice and we once: what each must be equal to.

    Raises:
        CheckpointError: a key is missing, unknown (in neither ``layout`` nor ``dropped``), of
            another shape or dtype, or unequal to what it is tied to; the message names it.
    """
    own = module.state_dict()
    theirs = {
        f"{name}{key.removeprefix(ours)}": key
        for name, ours in layout.items()
        for key in own
        if key == ours or key.startswith(f"{ours}.")
    }
    tied = tied or {}
    known = {*theirs, *tied, *dropped}
    _refuse(f"{name} is missing" for name in (*theirs, *tied) if name not in state)
    _refuse(f"{name} is unknown" for name in state if name not in known)
    _refuse(
        f"{name} is {_kind(state[name])}, not {_kind(own[key])}"
        for name, key in theirs.items()
        if _kind(state[name]) != _kind(own[key])
    )
    _refuse(
        f"{name} differs from the weight that it is tied to"
        for name, source in tied.items()
        if not torch.equal(state[name], state[source])
    )
    module.load_state_dict({key: state[name] for name, key in theirs.items()})


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _refuse(problems: Iterable[str], shown: int = 5) -> None:
    found = list(problems)
    if found:
        more = f" and {len(found) - shown} more" if len(found) > shown else ""
        raise CheckpointError(f"not the published weights: {', '.join(found[:shown])}{more}")
