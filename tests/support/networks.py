"""EfficientAT's network at random weights, whose layers are scaled as a trained one's are."""

from __future__ import annotations

import torch
from torch import nn

from model.encoders.efficientat import EfficientAtNetwork


def tagger(bias: float = 0.0) -> EfficientAtNetwork:
    """``bias`` is added to every logit."""
    torch.manual_seed(0)
    network = EfficientAtNetwork().train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(4, 192, 128))  # its running statistics are those of noise
        network.classifier[5].bias.add_(bias)
    return network.eval()
