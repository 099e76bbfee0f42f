"""Runtimes: what computes the parts where they are used.

torch is the reference: it trains, runs on a GPU and in half precision, and every part is written in
it. On a CPU a compiler takes over what gains by it, on a GPU recordings of what launches many small
kernels; the results are the same (``tests/parity``).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from model.contracts import Compile
from model.errors import CheckpointError

RUNTIMES = ("auto", "torch", "openvino", "graphs")


def compiler(
    runtime: str, device: torch.device, dtype: torch.dtype, cache: Path | None = None
) -> Compile | None:
    """What compiles for ``runtime``, one of ``RUNTIMES``; None is torch as it is.

    auto is the fastest here.

    ``cache`` is a directory for what was compiled.

    Raises:
        CheckpointError: the runtime is unknown, not installed, or not for this device or dtype;
            or there can be no such directory.
    """
    if runtime not in RUNTIMES:
        raise CheckpointError(f"runtime {runtime!r} is unknown: use {', '.join(RUNTIMES)}")
    if runtime == "auto":
        runtime = _fastest(device, dtype)
    if runtime == "torch":
        return None
    if runtime == "graphs":
        if device.type != "cuda":
            raise CheckpointError("runtime graphs is for device cuda: use runtime auto or torch")
        from model.runtimes.cuda_graphs import CudaGraphs

        return CudaGraphs()
    if device.type != "cpu" or dtype != torch.float32:
        raise CheckpointError(
            "runtime openvino is for device cpu and dtype float32: use runtime auto or torch"
        )
    if find_spec("openvino") is None:
        raise CheckpointError("runtime openvino is not installed: `pip install openvino`")
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"the compile cache {cache} cannot be made: {error}") from error
    from model.runtimes.openvino import OpenVino

    return OpenVino(cache)


def _fastest(device: torch.device, dtype: torch.dtype) -> str:
    if device.type == "cuda":
        return "graphs"
    fits = dtype == torch.float32 and find_spec("openvino") is not None
    return "openvino" if fits else "torch"
