"""A compiled network on a batch, part by part.

Shapes: N patches, and whatever a patch has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.contracts import Compile

_PROCESSOR, _GPU = 16, 256


class InParts(nn.Module):
    """Compiles a network that takes patches [N, ...], each for itself, to one tensor [N, ...].

    A processor is given few at a time: they fit its cache, and shapes come again. Where each shape
    costs much, parts are large, and the last is filled up to a power of two.
    """

    def __init__(self, network: nn.Module, compile: Compile, example: Tensor) -> None:  # noqa: A002
        super().__init__()
        self.network = compile(network, example)
        self._few_shapes = compile.few_shapes
        self._most = _GPU if compile.few_shapes else _PROCESSOR

    def forward(self, patches: Tensor) -> Tensor:
        """As the network."""
        return torch.cat([self._run(part) for part in torch.split(patches, self._most)])

    def _run(self, part: Tensor) -> Tensor:
        if not self._few_shapes:
            return self.network(part)  # type: ignore[no-any-return]
        count = len(part)
        idle = (1 << (count - 1).bit_length()) - count
        filled = F.pad(part, (*[0, 0] * (part.ndim - 1), 0, idle))
        return self.network(filled)[:count]  # type: ignore[no-any-return]
