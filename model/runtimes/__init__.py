"""Runtimes: what computes the parts where they are used.

torch is the reference: it trains, runs on a GPU and in half precision, and every part is written in
it. On a CPU a compiler takes over what gains by it; the results are the same (``tests/parity``).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from model.contracts import Compile
from model.errors import CheckpointError


def compiler(
    runtime: str, device: torch.device, dtype: torch.dtype, cache: Path | None = None
) -> Compile | None:
    """What compiles for ``runtime``: openvino or torch (None), or auto, whichever is faster here.

    ``cache`` is a directory for what was compiled.

    Raises:
        CheckpointError: the runtime is unknown, not installed, or not for this device or dtype;
            or there can be no such directory.
    """
    if runtime not in ("auto", "openvino", "torch"):
        raise CheckpointError(f"runtime {runtime!r} is unknown: use auto, openvino or torch")
    fits = device.type == "cpu" and dtype == torch.float32
    installed = find_spec("openvino") is not None
    if runtime == "torch" or (runtime == "auto" and not (fits and installed)):
        return None
    if not fits:
        raise CheckpointError(
            "runtime openvino is for device cpu and dtype float32: use runtime auto or torch"
        )
    if not installed:
        raise CheckpointError("runtime openvino is not installed: `pip install openvino`")
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"the compile cache {cache} cannot be made: {error}") from error
    from model.runtimes.openvino import OpenVino

    return OpenVino(cache)
