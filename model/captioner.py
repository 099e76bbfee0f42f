"""The whole road on one screen: waveforms -> frames -> difference -> tokens.

Shapes: B clips, R references, S samples, T frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn import functional as F
from transformers import PreTrainedModel

from model.config import CaptionerConfig
from model.decoders.bart import Decoder, bart_config
from model.difference import DIFFERENCES
from model.encoders import ENCODERS, Cnn14
from model.encoders.log_mel import LogMel
from model.types import Difference, Encoded


class CaptionerModel(PreTrainedModel):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """Encoder, adapter, diff block and decoder (Audio Difference Learning, figure 1).

    State-dict layout: ``encoder.norm``, ``encoder.blocks.N.{conv1,norm1,conv2,norm2}``,
    ``adapter``, ``difference.{query,key,value}`` (masking only), ``decoder.bart`` (the Transformers
    BART layout, its token embedding stored once).
    """

    config_class = CaptionerConfig
    main_input_name = "samples"
    config: CaptionerConfig
    _tied_weights_keys = {  # noqa: RUF012 - Transformers reads it off the class
        f"decoder.bart.{copy}.weight": "decoder.bart.model.shared.weight"
        for copy in ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens")
    }

    # The batch norms of a model loaded in half precision: a few thousand numbers, all felt.
    _keep_in_fp32_modules_strict = {"encoder.norm", "norm1", "norm2"}  # noqa: RUF012

    def __init__(self, config: CaptionerConfig) -> None:
        """Build every part with fresh weights. ValueError: there is no part of that name."""
        super().__init__(config)
        front_end = LogMel(**config.front_end.model_dump())
        build_encoder = _pick(ENCODERS, config.encoder.name, "encoder")
        build_difference = _pick(DIFFERENCES, config.difference.name, "diff block")
        self.encoder = cast(
            Cnn14,
            build_encoder(front_end=front_end, **config.encoder.model_dump(exclude={"name"})),
        )
        self.adapter = Linear(self.encoder.width, config.decoder.width)
        self.difference = build_difference(width=config.decoder.width)
        self.decoder = Decoder(bart_config(**config.decoder.model_dump()))
        self.post_init()  # type: ignore[no-untyped-call, unused-ignore]

    @property
    def dtype(self) -> torch.dtype:
        """What frames and memory come in; batch norms may be more precise."""
        return self.adapter.weight.dtype

    def _init_weights(self, module: Any) -> None:
        """Every part initializes itself when it is built."""

    def encode(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B], at the front end's rate -> frames Z [B, T, D]."""
        encoded = self.encoder(samples, lengths)
        return Encoded(self.adapter(encoded.frames), encoded.mask)

    def encode_row(self, log_mels: Sequence[Tensor]) -> list[Encoded]:
        """Log-mels [T, M] of several clips -> for each what ``encode`` says of it, unpadded."""
        rows = [self.adapter(frames)[None] for frames in self.encoder.in_a_row(log_mels)]
        return [
            Encoded(frames, torch.ones_like(frames[..., 0], dtype=torch.bool)) for frames in rows
        ]

    def compare(self, clips: Encoded, references: Encoded, rows: Tensor) -> Difference:
        """What each clip has that its reference has not; a clip without one passes untouched.

        ``rows`` [R] names, for each of the R references, the clip of the B it belongs to.
        """
        part: Difference = self.difference(
            Encoded(clips.frames[rows], clips.mask[rows]), references
        )
        longest = max(clips.frames.shape[1], part.memory.shape[1])

        def place(whole: Tensor, piece: Tensor) -> Tensor:
            fill = [0, 0] * (whole.ndim - 2)
            whole = F.pad(whole, (*fill, 0, longest - whole.shape[1]))
            piece = F.pad(piece, (*fill, 0, longest - piece.shape[1]))
            return whole.index_copy(0, rows, piece.to(whole.dtype))

        return Difference(
            place(clips.frames, part.memory),
            place(clips.mask, part.mask),
            None if part.kept is None else place(torch.ones_like(clips.frames[..., 0]), part.kept),
        )

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
        references = (
            self.encode(reference_samples, reference_lengths)
            if len(reference_rows)
            else clips.take([])  # torch.stft takes no batch of none
        )
        return cast(Tensor, self.decoder(self.compare(clips, references, reference_rows), tokens))


def _pick(table: dict[str, type[Module]], name: str, kind: str) -> type[Module]:
    if name not in table:
        raise ValueError(f"there is no {kind} {name!r}: there is {', '.join(table)}")
    return table[name]
