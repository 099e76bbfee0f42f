"""Which runtime is taken, and what compiling promises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import openvino_telemetry
import pytest
import torch
from torch import Tensor, nn

from model import runtimes
from model.captioner import CaptionerModel
from model.errors import CheckpointError
from model.runtimes import compiler
from model.runtimes.cuda_graphs import MOST, CudaGraphs, Outputs
from model.runtimes.openvino import OpenVino

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Between(nn.Module):
    """Two results, of which one has the batch's length and the other the sequences'."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T, 3], [B, T] bool -> [B, 4], [B, T]."""
        y = self.linear(x) * real[:, :, None]
        return y.sum(dim=1), y.sum(dim=2)


class Minus(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first - second


@pytest.fixture
def between() -> Between:
    torch.manual_seed(0)
    return Between().requires_grad_(False)


def inputs(clips: int, frames: int) -> tuple[Tensor, Tensor]:
    return torch.randn(clips, frames, 3), torch.rand(clips, frames) > 0.5


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda _: None)


def test_auto_is_openvino_on_a_cpu_in_float32_alone() -> None:
    assert isinstance(compiler("auto", CPU, torch.float32), OpenVino)
    assert compiler("auto", CPU, torch.bfloat16) is None


@pytest.mark.usefixtures("without_openvino")
def test_auto_is_torch_where_openvino_is_not_installed() -> None:
    assert compiler("auto", CPU, torch.float32) is None


@pytest.mark.usefixtures("without_openvino")
def test_openvino_is_asked_for_and_not_installed() -> None:
    with pytest.raises(CheckpointError, match="pip install openvino"):
        compiler("openvino", CPU, torch.float32)


def test_torch_can_be_asked_for() -> None:
    assert compiler("torch", CPU, torch.float32) is None


@pytest.mark.parametrize(("device", "dtype"), [(GPU, torch.float32), (CPU, torch.float16)])
def test_openvino_is_refused_where_it_does_not_fit(
    device: torch.device, dtype: torch.dtype
) -> None:
    with pytest.raises(CheckpointError, match="use runtime auto or torch"):
        compiler("openvino", device, dtype)


def test_graphs_are_for_a_gpu() -> None:
    with pytest.raises(CheckpointError, match="graphs is for device cuda: use runtime auto"):
        compiler("graphs", CPU, torch.float32)


def test_unknown_runtime() -> None:
    with pytest.raises(CheckpointError, match="use auto, torch, openvino, graphs"):
        compiler("onnx", CPU, torch.float32)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 5), (7, 40)])
def test_any_sizes(between: Between, sizes: tuple[int, int]) -> None:
    compiled = OpenVino()(between, *inputs(2, 4))
    given = inputs(*sizes)
    for found, wanted in zip(compiled(*given), between(*given), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_views_are_read_as_they_are(between: Between) -> None:
    compiled = OpenVino()(between, *inputs(2, 4))
    x, real = inputs(9, 5)
    given = x.transpose(0, 1)[:, 2:6], real.T[:, 2:6]
    torch.testing.assert_close(compiled(*given)[1], between(*given)[1], rtol=0, atol=1e-5)


def test_copies_of_views_do_not_share_memory() -> None:
    compiled = OpenVino()(Minus(), torch.zeros(2, 2), torch.zeros(2, 2))
    first, second = torch.randn(30, 20).T, torch.randn(30, 20).T
    torch.testing.assert_close(compiled(first, second), first - second)


def test_what_changed_in_place_is_read_anew() -> None:
    compiled = OpenVino()(Minus(), torch.zeros(2, 2), torch.zeros(2, 2))
    first, second = torch.randn(3, 2), torch.randn(3, 2)
    compiled(first, second)
    first += 1
    torch.testing.assert_close(compiled(first, second), first - second)


def test_a_result_stays_as_it_is(between: Between) -> None:
    compiled = OpenVino()(between, *inputs(2, 4))
    first = compiled(*inputs(2, 4))[0]
    kept = first.clone()
    compiled(*inputs(2, 4))
    assert torch.equal(first, kept)


def test_what_was_compiled_is_kept(between: Between, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "cache"
    for _ in range(2):
        made = compiler("openvino", CPU, torch.float32, folder)
        assert made is not None
        compiled = made(between, *inputs(2, 4))
        assert len(list(folder.iterdir())) == 1
    given = inputs(3, 3)
    torch.testing.assert_close(compiled(*given)[0], between(*given)[0], rtol=0, atol=1e-5)


def test_no_cache_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="file/cache cannot be made"):
        compiler("auto", CPU, torch.float32, tmp_path / "file" / "cache")


DROPPED_ELSEWHERE = """
import os, signal, threading
import torch
from model.runtimes.openvino import OpenVino

class Twice(torch.nn.Module):
    def forward(self, x):
        return 2 * x

held = [OpenVino()(Twice(), torch.zeros(2))]
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_finds_its_stack_whoever_dropped_what_was_compiled() -> None:
    done = subprocess.run([sys.executable, "-c", DROPPED_ELSEWHERE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


TCMALLOC = [*Path("/usr/lib").glob("*/libtcmalloc_minimal.so.4")]


@pytest.mark.skipif(not TCMALLOC, reason="needs Debian's libtcmalloc-minimal4")
def test_the_allocator_may_be_another() -> None:
    """The image preloads one."""
    program = "from model.runtimes.openvino import _core; print(_core().available_devices)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LD_PRELOAD": str(TCMALLOC[0])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, "CPU" in done.stdout) == (0, True), done.stderr


def test_nobody_is_told(between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    """openvino.convert_model would tell Google."""

    def told(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("telemetry")

    for name in ("send_event", "send_error", "start_session"):
        monkeypatch.setattr(openvino_telemetry.Telemetry, name, told)
    OpenVino()(between, *inputs(2, 4))


def test_parts_that_gain_nothing_stay_in_torch(model: CaptionerModel) -> None:
    compiled: list[str] = []

    class AsItIs:
        own_threads = few_shapes = False

        def __call__(self, module: nn.Module, *_: Tensor) -> nn.Module:
            compiled.append(type(module).__module__)
            return module

    before = dict(model.difference.named_modules())
    model.compile_with(AsItIs())
    assert set(compiled) == {"model.decoders.bart_compiled"}  # CNN14 is not compiled
    assert dict(model.difference.named_modules()) == before


def recorder(recorded: list[tuple[torch.Size, ...]]) -> Any:
    """In a graph's place: notes which shapes were recorded."""

    def record(module: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[..., Outputs]:
        recorded.append(tuple(each.shape for each in inputs))
        return module

    return record


def test_what_comes_again_is_recorded_once() -> None:
    recorded: list[tuple[torch.Size, ...]] = []
    minus = CudaGraphs(recorder(recorded))(Minus())
    for size in (2, 3, 2, 2, 2):
        first, second = torch.randn(size), torch.randn(size)
        torch.testing.assert_close(minus(first, second), first - second)
    assert recorded == [((2,), (2,))]


def test_recordings_are_bounded() -> None:
    recorded: list[tuple[torch.Size, ...]] = []
    minus = CudaGraphs(recorder(recorded))(Minus())
    for size in [*range(MOST + 1), *range(MOST + 1), 0]:
        minus(torch.zeros(size), torch.zeros(size))
    assert len(recorded) == MOST + 2  # the first was let go, and recorded again
