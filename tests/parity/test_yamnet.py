"""The student's trunk and front end are YAMNet's: written again, and as the published graph."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor
from torch.nn import functional as F
from torchaudio.compliance.kaldi import get_mel_banks

from model import checkpoint
from model.config import CaptionerConfig
from model.encoders import MobileNet
from model.encoders.mobilenet import MagnitudeLogMel, Trunk
from model.errors import CheckpointError
from model.published import yamnet

LAYERS = """1 64; 2 128; 1 128; 2 256; 1 256; 2 512; 1 512; 1 512; 1 512; 1 512; 1 512; 2 1024;
1 1024"""
"""Stride of the depthwise convolution, channels of the pointwise one."""


@pytest.fixture(scope="module", autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def same_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int, groups: int) -> Tensor:
    """A convolution with TensorFlow's padding "same", then ReLU."""
    kernel = weight.shape[-1]
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return torch.relu(F.conv2d(F.pad(x, pads), weight, bias, stride, groups=groups))


def test_the_trunk_written_again() -> None:
    torch.manual_seed(0)
    trunk = Trunk().eval()
    for parameter in trunk.parameters():
        # Half of what comes in is cut off by each ReLU: so its variance is kept.
        fan = parameter[0].numel() if parameter.ndim > 1 else 100
        parameter.normal_(0, (2 / fan) ** 0.5)
    weights = iter(trunk.parameters())
    patches = torch.randn(2, 96, 64)
    x = same_conv(patches[:, None], next(weights), next(weights), 2, 1)
    for row in LAYERS.split(";"):
        stride, channels = map(int, row.split())
        x = same_conv(x, next(weights), next(weights), stride, x.shape[1])
        x = same_conv(x, next(weights), next(weights), 1, 1)
        assert x.shape[1] == channels
    assert x.shape == (2, 1024, 3, 2)
    assert x.std() > 0.1
    torch.testing.assert_close(trunk(patches), x.mean(3).mT, rtol=1e-4, atol=1e-4)


def without_quantizers(model: Any) -> Any:
    """The graph in which every tensor passes as it is."""
    graph = model.graph
    passed = {node.output[0]: node.input[0] for node in graph.node if "quantize" in
              node.op_type.lower()}  # fmt: skip

    def source(name: str) -> str:
        return source(passed[name]) if name in passed else name

    kept = [node for node in graph.node if node.output[0] not in passed]
    for node in kept:
        node.input[:] = [source(name) for name in node.input]
    output = source(graph.output[0].name)
    del graph.node[:]
    graph.node.extend(kept)
    graph.output[0].name = output
    for end in (graph.input[0], graph.output[0]):
        end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    del graph.value_info[:]
    return model


def test_the_imported_trunk_does_what_the_graph_does(tmp_path: Path) -> None:
    trunk = Trunk().eval()
    trunk.load_state_dict(yamnet.read_trunk(yamnet.installed()))
    with zipfile.ZipFile(yamnet.installed()) as archive:
        archive.extractall(tmp_path)
    (file,) = tmp_path.rglob("model.onnx")
    model = without_quantizers(onnx.load(file))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    known = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    patches = torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(0)) * 2 - 3
    features = trunk(patches).mean(1).numpy()
    found = features @ known["model.classifier.weight"].T + known["model.classifier.bias"]
    for patch, logits in zip(patches.numpy(), found, strict=True):
        (expected,) = session.run(None, {"audio": patch[None, None]})
        assert np.std(expected) > 0.5
        np.testing.assert_allclose(logits, expected[0], rtol=0, atol=2e-3)


@pytest.mark.parametrize("samples", [400, 16_000, 20_001])
def test_the_front_end_is_yamnets(samples: int) -> None:
    heard = np.random.default_rng(samples).uniform(-0.5, 0.5, samples)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, samples - 399, 160)
    magnitude = np.array([np.abs(np.fft.rfft(window * heard[s : s + 400], 512)) for s in starts])
    # Kaldi's mel is HTK's.
    banks, _ = get_mel_banks(64, 512, 16_000.0, 125.0, 7_500.0, 100.0, -500.0, 1.0)
    mel = magnitude @ np.pad(banks.numpy().astype(np.float64).T, ((0, 1), (0, 0)))
    found = MagnitudeLogMel()(torch.from_numpy(heard)[None].float())[0]
    assert found.shape == (len(starts), 64)
    np.testing.assert_allclose(found.numpy(), np.log(mel + 0.001), rtol=0, atol=1e-3)


def test_an_imported_encoder_has_the_trunk(tmp_path: Path) -> None:
    yamnet.import_encoder(yamnet.installed(), tmp_path)
    config = CaptionerConfig.from_pretrained(tmp_path)
    encoder = MobileNet(**config.encoder.keywords())
    checkpoint.load_encoder(encoder, tmp_path)
    expected = yamnet.read_trunk(yamnet.installed())
    assert all(torch.equal(expected[k], v) for k, v in encoder.trunk.state_dict().items())


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "graph.zip"
    with pytest.raises(CheckpointError, match="is not YAMNet's graph"):
        yamnet.read_trunk(file)
    file.write_bytes(b"no archive")
    with pytest.raises(CheckpointError, match="is not YAMNet's graph"):
        yamnet.read_trunk(file)
    for name, content, problem in (
        ("readme", b"", "0 files in it are called"),
        ("a/model.onnx", b"no graph", "is not YAMNet's graph"),
        ("a/model.onnx", onnx.ModelProto().SerializeToString(), "holds another network"),
    ):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, content)
        with pytest.raises(CheckpointError, match=problem):
            yamnet.read_trunk(file)
