"""Clips of several lengths in one tensor, and apart again.

Shapes: B clips, S samples, T frames, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model.types import Encoded


def first(counts: Tensor, total: int) -> Tensor:
    """[B] counts -> [B, total] bool: True on so many."""
    return torch.arange(total, device=counts.device) < counts[:, None]


def together(forward: Callable[[Tensor, Tensor], Encoded], clips: Sequence[Tensor]) -> list[Tensor]:
    """Waveforms [S], padded for ``forward`` -> frames [T, D] of each."""
    lengths = torch.tensor([len(clip) for clip in clips], device=clips[0].device)
    heard = forward(pad_sequence(list(clips), batch_first=True), lengths)
    return [frames[real] for frames, real in zip(heard.frames, heard.mask, strict=True)]


def by_device(
    forward: Callable[[Tensor, Tensor], Encoded], clips: Sequence[Tensor]
) -> list[Tensor]:
    """As ``together``: on a GPU all at once.

    A processor is as quick clip by clip, and needs less memory.
    """
    batches = [clips] if clips[0].is_cuda else [[clip] for clip in clips]
    return [frames for batch in batches for frames in together(forward, batch)]
