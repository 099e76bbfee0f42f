"""Processes that share each batch learn what one process learns from the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.shared_batches import Regression, stage
from training.fit import fit

ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    alone = load_file(fit(stage(), tmp_path / "alone") / "model.safetensors")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    script = ("-m", "tests.support.shared_batches", str(tmp_path / "shared"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, *torchrun, *script],
        cwd=ROOT,
        check=True,
        env=environment,
        capture_output=True,
        timeout=240,
    )
    last = fit(stage(), tmp_path / "shared")  # is done: only loads
    shared, start = load_file(last / "model.safetensors"), Regression().state_dict()
    assert shared.keys() == alone.keys() == start.keys()
    for name, weights in alone.items():
        torch.testing.assert_close(shared[name], weights, rtol=0, atol=1e-5)
        assert (weights - start[name]).abs().max() > 0.01, f"{name} learned nothing"


def test_a_batch_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="3 processes cannot share batches of 8"):
        fit(stage(1), tmp_path)
