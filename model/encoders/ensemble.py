"""Several encoders side by side (EDTC, section 2.1), their frames brought to one grid.

Tan, Cao, Zhou: "EDTC: Enhance Depth of Text Comprehension in Automated Audio Captioning", 2024.

Shapes: B clips, S samples, T frames, D features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.functional import resample

from model.contracts import Compilable, Compile, Encoder
from model.types import Encoded


class Ensemble(nn.Module):
    """A frame holds the features of all parts, one after the other.

    The paper stretches what each part says of a clip to 32 frames. Here a frame lasts ``frame_s``,
    of which 32 are ten seconds: so clips of any length are heard, and frames keep their times. Each
    part has its own rate and front end; clips come at the highest, and are resampled for the rest.
    """

    def __init__(self, *, parts: Sequence[Encoder], frame_s: float) -> None:
        """``frame_s`` is seconds per frame."""
        super().__init__()
        self.parts = nn.ModuleList(cast(Sequence[nn.Module], parts))
        self.sample_rate = max(part.sample_rate for part in parts)
        self.width = sum(part.width for part in parts)
        self.frame_s = frame_s
        self.min_samples = max(
            math.ceil(part.min_samples / part.sample_rate * self.sample_rate) for part in parts
        )
        self.precise = tuple(
            f"parts.{number}.{name}" for number, part in enumerate(parts) for name in part.precise
        )

    def fold_norms(self) -> None:
        """Those of its parts."""
        for part in self._encoders():
            part.fold_norms()

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """Its parts."""
        for part in self._encoders():
            if isinstance(part, Compilable):
                part.compile_with(compile)

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D]."""
        each = []
        for part in self._encoders():
            short = self._lengths(lengths, part)
            heard = part(self._resampled(samples, part)[:, : int(short.max())], short)
            each.append([part_of.frames[0] for part_of in heard.split()])
        return Encoded.join([Encoded.of(one) for one in self._joined(each, lengths.tolist())])

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each."""
        each = []
        for part in self._encoders():
            heard = [self._resampled(clip, part) for clip in clips]
            each.append(part.encode(heard))
        return self._joined(each, [len(clip) for clip in clips])

    def _encoders(self) -> list[Encoder]:
        return cast(list[Encoder], list(self.parts))

    def _resampled(self, samples: Tensor, part: Encoder) -> Tensor:
        resampled: Tensor = resample(samples, self.sample_rate, part.sample_rate)
        return resampled

    def _lengths(self, lengths: Tensor, part: Encoder) -> Tensor:
        """As ``resample`` makes them: rounded up."""
        return -(-lengths * part.sample_rate // self.sample_rate)

    def _joined(self, each: Sequence[Sequence[Tensor]], lengths: Sequence[int]) -> list[Tensor]:
        """Of each part the frames [T', D'] of each clip -> frames [T, D] of each clip."""
        frame = self.frame_s * self.sample_rate
        counts = [max(1, math.ceil(length / frame)) for length in lengths]
        return [
            torch.cat([_stretched(frames, count) for frames in parts], dim=1)
            for parts, count in zip(zip(*each, strict=True), counts, strict=True)
        ]


def _stretched(frames: Tensor, count: int) -> Tensor:
    """[T, D] -> [count, D], linear in between."""
    if len(frames) == count:
        return frames
    stretched = F.interpolate(frames.t()[None].float(), count, mode="linear", align_corners=False)
    return stretched[0].t().to(frames.dtype)
