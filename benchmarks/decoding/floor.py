"""What a search cannot do without, counted: bytes of weights, arithmetic, operations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from unittest.mock import patch

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from model.decoders.bart_steps import BartSteps


@dataclass(frozen=True)
class Floor:
    """Of one whole search."""

    steps: int
    operations: float
    """Tensor operations that call no other, per step."""
    megabytes: float
    """Of weights, read in each step."""
    gigaflop: float
    """In all."""

    def seconds(self, bandwidth: float, rate: float) -> float:
        """If it did nothing but read the weights, or multiply; bytes and operations a second."""
        return max(self.steps * self.megabytes * 1e6 / bandwidth, self.gigaflop * 1e9 / rate)


def count(bart: nn.Module, run: Callable[[], object]) -> Floor:
    """What ``run``, a search of ours with this decoder in torch, takes."""
    with patch.object(BartSteps, "step", autospec=True, side_effect=BartSteps.step) as step:
        run()
    steps = 1 + step.call_count
    with FlopCounterMode(display=False) as flop:
        run()
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiled:
        run()
    leaves = sum(
        event.name.startswith("aten::") and not event.cpu_children for event in profiled.events()
    )
    products = [
        part for name, part in bart.named_modules()
        if isinstance(part, nn.Linear) and "encoder_attn.k" not in name
        and "encoder_attn.v" not in name
    ]  # fmt: skip
    size = sum(part.weight.numel() * part.weight.element_size() for part in products)
    return Floor(steps, leaves / steps, size / 1e6, flop.get_total_flops() / 1e9)


def bandwidth(megabytes: float) -> float:
    """Bytes a second at which so much memory is read again and again, by a product with a row."""
    side = int((megabytes * 1e6 / 4) ** 0.5)
    matrix, row = torch.randn(side, side), torch.randn(side)
    return 4 * side * side / _seconds(lambda: matrix @ row)


def rate(rows: int, width: int) -> float:
    """Operations a second of products of so many rows with ``width`` x 4 ``width`` weights."""
    x, weight = torch.randn(rows, width), torch.randn(width, 4 * width)
    return 2 * rows * width * 4 * width / _seconds(lambda: x @ weight)


def _seconds(run: Callable[[], object], times: int = 50) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return median(taken)
