"""One batch out of samples of any kind.

A sample holds what its stage learns from, by name: ``input`` and ``reference`` (None where there
is none), each a waveform [S] or kept frames [T, D]; the ``tokens`` [L] of a caption, or of several
(``..._tokens``); and targets, whose shape is one in the whole batch.

Shapes: B samples, R references, S audio samples, T frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.captions.tokenizer import PAD

Sample = Mapping[str, Tensor | None]


def collate(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Pad and stack what the samples carry.

    Returns:
        ``inputs`` [B, S] or [B, T, D], zero beyond ``lengths`` [B]; ``references`` likewise with
        ``reference_lengths`` [R], of which ``reference_of`` [R] says whose they are; ``tokens``
        [B, L], and ``..._tokens``; targets under their own name, stacked.
    """
    batch: dict[str, Tensor] = {}
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        there = [value for value in values if value is not None]
        if name == "input":
            batch["inputs"], batch["lengths"] = _padded(there, there[0])
        elif name == "reference":
            like = samples[0]["input"]
            assert like is not None
            batch["references"], batch["reference_lengths"] = _padded(there, like)
            batch["reference_of"] = torch.tensor(
                [of for of, value in enumerate(values) if value is not None], dtype=torch.long
            )
        elif name.endswith("tokens"):
            batch[name] = pad_sequence(there, batch_first=True, padding_value=PAD)
        else:
            batch[name] = torch.stack(there)
    return batch


def _padded(clips: Sequence[Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    """Zeros beyond each clip's end, and their lengths; a batch of none where there are none."""
    lengths = torch.tensor([len(clip) for clip in clips], dtype=torch.long)
    padded = pad_sequence([*clips], batch_first=True) if clips else like.new_zeros(0, *like.shape)
    return padded, lengths
