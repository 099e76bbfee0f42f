"""Processes that share each batch learn what one process learns from the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.unit.training.shared_batches import STEPS, Regression, Samples, collate
from training.fit import Budget, Stage, fit

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("shared_batches.py")


def fitted(output: Path, *launcher: str) -> dict[str, Tensor]:
    """The weights after a run."""
    command = [sys.executable, *launcher, str(SCRIPT), str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=240)
    return load_file(output / "regression" / f"checkpoint-{STEPS}" / "model.safetensors")


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    alone = fitted(tmp_path / "alone")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    shared = fitted(tmp_path / "shared", *torchrun)
    start = Regression().state_dict()
    assert shared.keys() == alone.keys() == start.keys()
    for name, weights in alone.items():
        torch.testing.assert_close(shared[name], weights, rtol=0, atol=1e-5)
        assert (weights - start[name]).abs().max() > 0.01, f"{name} learned nothing"


def test_a_batch_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    stage = Stage("regression", Regression(), "", Samples(), collate, Budget(1, 8, 0.01))
    with pytest.raises(ValueError, match="3 processes cannot share batches of 8"):
        fit(stage, tmp_path)
