"""OpenVINO: modules compiled for this machine's processor, in float32."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn


@functools.cache
def _core() -> openvino.Core:
    """One, as long as the process lives.

    It gives the thread that first compiles another stack for signals, and unmaps it when it goes,
    from whichever thread that is: the next Ctrl-C would find no stack, and end as a crash.
    """
    # Else oneTBB loads hwloc with RTLD_DEEPBIND: glibc would free what a preloaded allocator, as
    # the image has one, allocated, and abort.
    os.environ.setdefault("TBB_ENABLE_SANITIZERS", "1")
    return openvino.Core()


class OpenVino:
    """See ``model.contracts.Compile``."""

    own_threads, few_shapes = True, False

    def __init__(self, cache: Path | None = None) -> None:
        """It takes as many threads as torch does now; ``cache`` keeps what was compiled."""
        self._config: dict[str, bool | int | str] = {
            "ENABLE_CPU_PINNING": False,  # several replicas would share a core
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if cache is not None:
            self._config["CACHE_DIR"] = str(cache)
        # openvino.convert_model would report its use to Google Analytics.
        self._frontend = FrontEndManager().load_by_framework("pytorch")

    @torch.no_grad()
    def __call__(self, module: nn.Module, *examples: Tensor) -> nn.Module:
        """See ``model.contracts.Compile``."""
        with warnings.catch_warnings():
            # Deprecated, but there in the torch that is pinned; torch.export takes seconds more.
            warnings.simplefilter("ignore", DeprecationWarning)
            traced = torch.jit.trace(module, examples, check_trace=False)  # type: ignore[no-untyped-call]
        decoder = TorchScriptPythonDecoder(traced)  # what is loaded does not hold it
        model = self._frontend.convert(self._frontend.load(decoder))
        for port, example in zip(model.inputs, examples, strict=True):
            port.get_node().set_element_type(openvino.Type(example.numpy().dtype))
        model.validate_nodes_and_infer_types()
        return _Compiled(_core().compile_model(model, "CPU", self._config))


class _Compiled(nn.Module):
    """One thread at a time may call it."""

    def __init__(self, model: openvino.CompiledModel) -> None:
        super().__init__()
        self._request = model.create_infer_request()
        self._inputs: list[Tensor | None] = [None] * len(model.inputs)

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        for number, each in enumerate(inputs):
            if each is not self._inputs[number]:  # else it is read where it was read before
                whole = each.contiguous()
                shared = openvino.Tensor(whole.numpy(), shared_memory=True)
                self._request.set_input_tensor(number, shared)
                self._inputs[number] = whole  # which nothing else may hold
        self._request.infer()
        # Copied: the next call overwrites them.
        found = tuple(torch.from_numpy(each.data.copy()) for each in self._request.output_tensors)
        return found if len(found) > 1 else found[0]
