"""The teacher's opinion of whole recordings: EfficientAT's mn04_as.

Shapes: S samples, K kinds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.encoders.efficientat import SAMPLE_RATE, EfficientAtNetwork, KaldiLogMel
from model.encoders.level import level
from model.published.state_dict import read_state_dict
from training.datasets.recording import Samples


class Teacher:
    """Which of AudioSet's kinds are heard."""

    def __init__(self, file: Path) -> None:
        """Raises FileNotFoundError: the published file is not there."""
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing")
        self.front_end = KaldiLogMel()
        self.network = EfficientAtNetwork().eval()
        self.network.load_state_dict(read_state_dict(file))

    @torch.no_grad()
    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """[S] at 32 kHz -> probabilities [K]."""
        heard = torch.from_numpy(samples)[None]
        heard = level(heard, torch.tensor([heard.shape[1]]), SAMPLE_RATE)
        found: NDArray[np.float32] = self.network(self.front_end(heard))[0][0].sigmoid().numpy()
        return found
