"""Memory that is given back, and convolutions that are not kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

from service.memory import Trimmer

PROBE = """
import torch
from service.memory import bound_kernels

if {bounded}:
    bound_kernels()
convolve = torch.nn.Conv2d(8, 8, 3)
with torch.inference_mode():
    for width in (50, *range(100, 300), 50):
        print("width", width, flush=True)
        convolve(torch.zeros(4, 8, 20, width))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="oneDNN of x86 and Linux")
@pytest.mark.parametrize("bounded", [True, False])
def test_a_convolution_long_ago_is_kept_only_without_the_bound(bounded: bool) -> None:
    out = subprocess.run(
        [sys.executable, "-c", PROBE.format(bounded=bounded)],
        env={"ONEDNN_VERBOSE": "profile_create", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    last = out.rsplit("width 50", 1)[1]
    if "create:" not in last:
        pytest.skip("this processor convolves without oneDNN")
    assert ("create:cache_miss" in last) == bounded


def test_memory_is_trimmed_now_and_then() -> None:
    times, trims = [0.0], []
    trimmer = Trimmer(lambda: trims.append(times[-1]), lambda: times[-1])
    for moment in (1.0, 19.0, 20.0, 21.0, 39.0, 41.0):
        times.append(moment)
        trimmer.tick()
    assert trims == [20.0, 41.0]
