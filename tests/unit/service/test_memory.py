"""Convolutions that are not kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
