"""The whole road on one screen, for every system: waveforms -> frames -> difference -> tokens.

Shapes: B clips, R references, S samples, T frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import ADAPTERS
from model.config import (
    CaptionerConfig,
    ConcentratedConfig,
    EncoderConfig,
    EnsembleConfig,
    PrefixConfig,
)
from model.contracts import (
    Adapter,
    Compilable,
    Compile,
    Decoder,
    DiffBlock,
    Encoder,
    EventHead,
    LevelMeter,
    Parts,
)
from model.decoders import DECODERS
from model.difference import DIFFERENCES
from model.encoders import ENCODERS
from model.errors import CheckpointError
from model.events import Events
from model.levels import Levels
from model.types import Difference, Encoded

ROUNDING = 1e-2
"""Features of the same frame that were computed in different batches are no further apart."""


def build(config: CaptionerConfig) -> Parts:
    """The parts that ``config`` names, with fresh weights."""
    encoder = _encoder(config.encoder)
    adapter = ADAPTERS[config.adapter.name](
        inputs=encoder.width, width=config.decoder.width, **config.adapter.keywords()
    )
    events = None
    if config.events is not None:
        events = Events(
            width=adapter.width, memory=config.decoder.width, **config.events.keywords()
        )
    difference = DIFFERENCES[config.difference.name](
        width=events.width if events else adapter.width, **config.difference.keywords()
    )
    decoder = DECODERS[config.decoder.name](**config.decoder.keywords())
    levels = None
    bands = (
        config.difference.bands
        if isinstance(config.difference, ConcentratedConfig | PrefixConfig)
        else 0
    )
    if bands:
        levels = Levels(
            bands=bands,
            sample_rate=encoder.sample_rate,
            frame_s=encoder.frame_s,
            whole=isinstance(config.difference, PrefixConfig) and config.difference.whole,
        )
    return Parts(encoder, adapter, difference, decoder, events, levels)


def _encoder(config: EncoderConfig) -> Encoder:
    keywords = config.keywords()
    if isinstance(config, EnsembleConfig):
        keywords["parts"] = [_encoder(part) for part in config.parts]
    return ENCODERS[config.name](**keywords)


class CaptionerModel(nn.Module):
    """Encoder, adapter, diff block, events and decoder (Audio Difference Learning, figure 1).

    In the state dict each part's weights lie under the name of its slot.
    """

    def __init__(self, config: CaptionerConfig, parts: Parts | None = None) -> None:
        """Of the parts that ``config`` names, or of ``parts``, which it then says nothing about."""
        super().__init__()
        self.config = config
        parts = parts or build(config)
        self.encoder: Encoder = parts.encoder
        self.adapter: Adapter = parts.adapter
        self.difference: DiffBlock = parts.difference
        self.events: EventHead | None = parts.events
        self.decoder: Decoder = parts.decoder
        self.levels: LevelMeter | None = parts.levels

    @property
    def dtype(self) -> torch.dtype:
        """What memory comes in; an encoder's norms may be more precise."""
        return next(self.decoder.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.decoder.parameters()).device

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """Have compiled what gains by it: for inference, and for good."""
        for part in self.children():
            if isinstance(part, Compilable):
                part.compile_with(compile)

    def hear_as(self, other: CaptionerModel) -> None:
        """Share the other's encoder, adapter and event head; it then hears levels if this does.

        Raises:
            CheckpointError: they are not the same as this one's.
        """
        for name in ("encoder", "adapter", "events"):
            own, theirs = getattr(self, name), getattr(other, name)
            if not _equal(own, theirs):
                raise CheckpointError(
                    f"the {name} of both checkpoints must be the same: export the second "
                    "with --share and the first"
                )
            setattr(self, name, theirs)
        bands = {part.bands for part in (self.levels, other.levels) if part is not None}
        if len(bands) > 1:
            raise CheckpointError(
                "levels are heard once for all checkpoints, and these hear them in "
                f"{' and in '.join(map(str, sorted(bands)))} bands"
            )
        if self.levels and (other.levels is None or self.levels.width > other.levels.width):
            other.levels = self.levels

    def encode(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B], at the encoder's rate -> frames Z [B, T, D]."""
        return self._levelled(self._hear(self.encoder(samples, lengths)), samples, lengths)

    def encode_references(self, samples: Tensor, lengths: Tensor, clips: Encoded) -> Encoded:
        """As ``encode``, of R samples [R, S] that belong to ``clips``; R may be 0."""
        if len(lengths):
            return self.encode(samples, lengths)
        return clips.take([])  # torch.stft takes no batch of none

    def encode_clips(self, clips: Sequence[Tensor]) -> list[Encoded]:
        """Waveforms [S] -> for each what ``encode`` says of it, unpadded."""
        return [
            self._levelled(
                self._hear(Encoded.of(frames)),
                clip[None],
                torch.tensor([len(clip)]).to(clip.device),
            )
            for clip, frames in zip(clips, self.encoder.encode(clips), strict=True)
        ]

    def _hear(self, encoded: Encoded) -> Encoded:
        adapted = self.adapter(encoded)
        return self.events.hear(adapted) if self.events else adapted

    def _levelled(self, encoded: Encoded, samples: Tensor, lengths: Tensor) -> Encoded:
        if self.levels is None or encoded.levels is not None:
            return encoded
        levels = self.levels(samples, lengths, encoded.frames.shape[1])
        return replace(encoded, levels=levels.to(encoded.frames.dtype))

    def compare(self, clips: Encoded, references: Encoded, rows: Tensor) -> Difference:
        """What each clip has that its reference has not; a clip without one passes untouched.

        ``rows`` [R] names, for each of the R references, the clip of the B it belongs to.
        """
        inputs = clips.take(rows)
        part = self.difference(inputs, references)
        ones = torch.ones_like(clips.frames[..., 0])
        whole = Difference(clips.frames, clips.mask, None if part.kept is None else ones)
        if self.events is None:
            return _placed(whole, part, rows)
        if self.difference.makes_memory:
            alone = self.events(whole, clips.mask.new_zeros(len(clips.mask)))
            return _placed(replace(alone, kept=None, events=None), part, rows)
        left = _placed(whole, part, rows)
        # Of a loud sound the attention leaves some even where a clip is its own reference.
        same = rows[_same(inputs, references)]
        left = replace(left, memory=left.memory.index_fill(0, same, 0.0))
        compared = clips.mask.new_zeros(len(clips.mask)).index_fill(0, rows, True)
        return self.events(left, compared)

    def forward(
        self,
        samples: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        reference_samples: Tensor,
        reference_lengths: Tensor,
        reference_rows: Tensor,
    ) -> Tensor:
        """Logits [B, L, V] of the captions ``tokens`` [B, L] (equations 9 to 12).

        The R references are [R, S]; ``reference_rows`` [R] says whose they are. R may be 0.
        """
        clips = self.encode(samples, lengths)
        references = self.encode_references(reference_samples, reference_lengths, clips)
        return self.decoder(self.compare(clips, references, reference_rows), tokens)


def _equal(one: nn.Module | None, other: nn.Module | None) -> bool:
    """Whether two parts are of the same class and weights."""
    if type(one) is not type(other):
        return False
    ours, theirs = ({} if part is None else part.state_dict() for part in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def _placed(whole: Difference, part: Difference, rows: Tensor) -> Difference:
    """``whole``, of B clips, but that the R clips that ``rows`` name are those of ``part``."""
    longest = max(whole.memory.shape[1], part.memory.shape[1])

    def place(ours: Tensor, theirs: Tensor) -> Tensor:
        fill = [0, 0] * (ours.ndim - 2)
        ours = F.pad(ours, (*fill, 0, longest - ours.shape[1]))
        theirs = F.pad(theirs, (*fill, 0, longest - theirs.shape[1]))
        return ours.index_copy(0, rows, theirs.to(ours.dtype))

    return Difference(
        place(whole.memory, part.memory),
        place(whole.mask, part.mask),
        None if whole.kept is None or part.kept is None else place(whole.kept, part.kept),
    )


def _same(clips: Encoded, others: Encoded) -> Tensor:
    """[B] bool: whether a clip and the other have the same frames, but for rounding."""
    length = min(clips.frames.shape[1], others.frames.shape[1])
    lengths = clips.mask.sum(dim=1) == others.mask.sum(dim=1)
    apart = (clips.frames[:, :length] - others.frames[:, :length]).abs()
    real = (clips.mask[:, :length] & others.mask[:, :length])[:, :, None]
    return lengths & (apart.masked_fill(~real, 0).amax(dim=(1, 2)) < ROUNDING)
