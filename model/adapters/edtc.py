"""EDTC's road from several encoders to the decoder: FUSER, then TRANSLATOR, either may be left out.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters.fuser import Fuser
from model.adapters.translator import Translator
from model.types import Encoded


class EdtcAdapter(nn.Module):
    """Each window of ``window`` frames by itself, 32 in the paper: it hears ten seconds.

    A longer clip is several windows, the last one filled up with zeros, as the paper's clips are.
    """

    def __init__(
        self,
        *,
        inputs: int,
        width: int,
        streams: Sequence[int],
        window: int,
        heads: int,
        fuser_layers: int | None,
        translator: Mapping[str, Any] | None,
    ) -> None:
        """``inputs`` is D of the encoder, where ``streams`` lie side by side; ``width`` D after.

        Without ``fuser_layers`` the streams are joined by one linear map. ``translator`` are the
        keywords of :class:`Translator` but for its width and heads.

        Raises:
            ValueError: the streams are not the encoder's, or FUSER has one alone.
        """
        super().__init__()
        if sum(streams) != inputs:
            raise ValueError(f"adapter.streams are {sum(streams)} wide, the encoder's {inputs}")
        if fuser_layers is not None and len(streams) < 2:
            raise ValueError("adapter.fuser_layers needs two streams or more")
        self.width, self.window, self.streams = width, window, list(streams)
        self.project: nn.ModuleList | None = None
        self.fuser: Fuser | None = None
        self.join: nn.Linear | None = None
        if fuser_layers is None:
            self.join = nn.Linear(inputs, width)
        else:
            self.project = nn.ModuleList(
                nn.Identity() if each == width else nn.Linear(each, width) for each in streams
            )
            self.fuser = Fuser(
                streams=len(streams), width=width, layers=fuser_layers, heads=heads, frames=window
            )
        self.translator = (
            None if translator is None else Translator(width=width, heads=heads, **translator)
        )

    def forward(self, encoded: Encoded) -> Encoded:
        """[B, T, D of the encoder] -> [B, T, D]."""
        return self.adapt(encoded)[0]

    def adapt(self, encoded: Encoded) -> tuple[Encoded, Tensor]:
        """What ``forward`` returns, and [B, D], of a clip as a whole.

        That is TRANSLATOR's last hidden state, of several windows the mean; without it, the frames'
        mean.
        """
        clips, count = encoded.mask.shape
        frames = encoded.frames * encoded.mask[..., None]
        frames = F.pad(frames, (0, 0, 0, -count % self.window))
        x = self._fused(frames.reshape(-1, self.window, frames.shape[2]))
        if self.translator is None:
            adapted = x.view(clips, -1, self.width)[:, :count]
            real = encoded.mask.to(x.dtype)[..., None]
            return replace(encoded, frames=adapted), (adapted * real).sum(1) / real.sum(1)
        x, hidden = self.translator(x)
        real = encoded.mask[:, :: self.window].to(x.dtype)[
            ..., None
        ]  # which windows are the clip's
        whole = (hidden.view(clips, -1, self.width) * real).sum(1) / real.sum(1)
        return replace(encoded, frames=x.view(clips, -1, self.width)[:, :count]), whole

    def _fused(self, frames: Tensor) -> Tensor:
        """[B, T, D of the encoder] -> [B, T, D]."""
        if self.fuser is None:
            assert self.join is not None
            joined: Tensor = self.join(frames)
            return joined
        assert self.project is not None
        parts = torch.split(frames, self.streams, dim=2)
        fused: Tensor = self.fuser(
            [project(part) for project, part in zip(self.project, parts, strict=True)]
        )
        return fused
