"""The teacher: EfficientAT's opinions of recordings and of mixtures of them.

Shapes: S samples, T frames, W windows, K kinds, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.encoders import EfficientAt
from model.encoders.efficientat import FRAME, SAMPLE_RATE, WINDOW, EfficientAtNetwork
from model.encoders.level import level
from training.captions.ontology import EVENTS
from training.datasets.recording import Samples


class Teacher:
    """Opinions of what is heard, in half precision."""

    def __init__(self, network: EfficientAtNetwork) -> None:
        """``network`` with its published weights."""
        self.encoder = EfficientAt().eval()
        self.encoder.network = network.eval()
        self.network = network

    @torch.no_grad()
    def opinion(self, samples: Samples) -> dict[str, Tensor]:
        """[S] at 32 kHz, S whole windows -> ``clip`` [K], ``windows`` [W, K], ``features`` [D].

        Windows lie side by side. The network hears the whole of what it is given, so that only
        what is of one length can be compared.
        """
        heard = _levelled(samples)
        front_end = self.encoder.front_end
        clip, features = self.network(front_end(heard))
        windows, _ = self.network(front_end(heard.view(-1, WINDOW * FRAME)))
        return {
            "clip": _of_all(clip[0].sigmoid()).half(),
            "windows": _of_all(windows.sigmoid()).half(),
            "features": features[0].half(),
        }

    @torch.no_grad()
    def clip(self, samples: Samples) -> Tensor:
        """[S] at 32 kHz -> the opinion [K] of the whole alone."""
        logits: Tensor = self.network(self.encoder.front_end(_levelled(samples)))[0]
        return _of_all(logits[0].sigmoid())

    @torch.no_grad()
    def track(self, samples: Samples) -> Tensor:
        """[S] at 32 kHz, of any length -> [T, K], frame by frame as the encoder hears it."""
        (frames,) = self.encoder.encode([torch.from_numpy(samples)])
        return _of_all(self.network.classifier(frames).sigmoid()).half()


def _of_all(probabilities: Tensor) -> Tensor:
    """[..., 527] -> [..., K]: of the kinds that the teacher does not know it says nothing."""
    return F.pad(probabilities, (0, len(EVENTS) - probabilities.shape[-1]))


def _levelled(samples: Samples) -> Tensor:
    """[S] -> [1, S]."""
    heard = torch.from_numpy(samples)[None]
    return level(heard, torch.tensor([heard.shape[1]]), SAMPLE_RATE)
