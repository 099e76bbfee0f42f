"""CUDA graphs: what launches many small kernels is recorded once, and replayed as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from cachetools import LRUCache
from torch import Tensor, nn

MOST = 128
"""Recordings that a module keeps: one per shape of its inputs, those that came last."""

Shapes = tuple[torch.Size, ...]
Outputs = Tensor | tuple[Tensor, ...]
Record = Callable[[nn.Module, tuple[Tensor, ...]], Callable[..., Outputs]]


class CudaGraphs:
    """See ``model.contracts.Compile``. One thread at a time may use all that it compiled."""

    own_threads, few_shapes = False, True

    def __init__(self, record: Record | None = None) -> None:
        """``record`` makes a recording of a call; a graph, unless a test has another."""
        self._record = record or Recorder()

    def __call__(self, module: nn.Module, *examples: Tensor) -> nn.Module:
        """See ``model.contracts.Compile``; what is recorded are the calls that come."""
        del examples
        return _Recorded(module, self._record)


class _Recorded(nn.Module):
    """Runs a module, and from the second call of the same shapes on its recording."""

    def __init__(self, module: nn.Module, record: Record) -> None:
        super().__init__()
        self._module = module
        self._record = record
        self._met: LRUCache[Shapes, bool] = LRUCache(8 * MOST)
        self._recordings: LRUCache[Shapes, Callable[..., Outputs]] = LRUCache(MOST)

    @torch.inference_mode()
    def forward(self, *inputs: Tensor) -> Outputs:
        shapes = tuple(each.shape for each in inputs)
        recording = self._recordings.get(shapes)
        if recording is None:
            if not self._met.get(shapes):  # to record takes as long as many calls
                self._met[shapes] = True
                return self._module(*inputs)  # type: ignore[no-any-return]
            recording = self._recordings[shapes] = self._record(self._module, inputs)
        return recording(*inputs)


class Recorder:
    """Makes graphs that share their memory, as they run one after the other."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[..., Outputs]:
        """The graph of ``module`` on ``inputs``, called with others of the same shapes."""
        held = [each.clone(memory_format=torch.contiguous_format) for each in inputs]
        kinds = defaultdict(list)  # copied at once by type
        for number, each in enumerate(held):
            kinds[each.dtype].append(number)
        graph = torch.cuda.CUDAGraph()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries choose their kernels in a first call
            module(*held)
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
            found = module(*held)

        def replay(*inputs: Tensor) -> Outputs:
            for numbers in kinds.values():
                torch._foreach_copy_(
                    [held[number] for number in numbers],
                    [inputs[number].contiguous() for number in numbers],
                )
            graph.replay()
            # Copied: the next replay, of whichever graph, overwrites them.
            return found.clone() if isinstance(found, Tensor) else tuple(x.clone() for x in found)

        return replay
