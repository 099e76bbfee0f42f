"""Level is not content: every clip is heard at one loudness, without its constant part.

Shapes: B clips, S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.encoders.batches import first

BLOCK_S, STEP_S = 0.5, 0.05
"""A clip is as loud as its loudest block, of those that begin at each step."""
TARGET_DB = -20.0
"""Root mean square of the loudest block, relative to full scale."""
MAX_GAIN_DB = 56.0
"""What is softer than ``TARGET_DB - MAX_GAIN_DB`` stays soft: near silence is not blown up."""
SILENT_DB = -80.0
"""What is softer still is silence: three steps of 16 bits, the noise of storage itself."""


def level(samples: Tensor, lengths: Tensor, sample_rate: int) -> Tensor:
    """[B, S], zero beyond ``lengths`` [B] -> the same at ``TARGET_DB``, without offset."""
    real = first(lengths, samples.shape[1])
    mean = samples.sum(dim=1, keepdim=True) / lengths[:, None]
    centred = torch.where(real, samples - mean, 0.0)
    step, steps = round(STEP_S * sample_rate), round(BLOCK_S / STEP_S)
    padded = F.pad(centred.square(), (0, -samples.shape[1] % step + (steps - 1) * step))
    energy = padded.view(len(samples), -1, step).sum(dim=2)
    loudest = energy.unfold(1, steps, 1).sum(dim=2).amax(dim=1)
    power = loudest / lengths.clamp(max=step * steps)
    power_db = 10 * torch.log10(power.clamp(min=1e-12))
    gain = 10 ** ((TARGET_DB - power_db).clamp(max=MAX_GAIN_DB) / 20)
    return centred * torch.where(power_db < SILENT_DB, 0.0, gain)[:, None]
