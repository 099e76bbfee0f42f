"""The four slots: ``samples -> Encoder -> Adapter -> DiffBlock -> Decoder -> tokens``.

Only what stands here crosses from one part to the next. A part is an ``nn.Module`` of its own
making: nothing is inherited from here.

Shapes: B clips, S samples, T input frames, R reference frames, D features, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from model.types import Difference, Encoded, Sequences


class Part(Protocol):
    """What is asked of every part for being an ``nn.Module``."""

    def parameters(self) -> Iterator[nn.Parameter]: ...  # noqa: D102
    def eval(self) -> Self: ...  # noqa: D102
    def to(self, device: torch.device | str) -> Self: ...  # noqa: D102
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...  # noqa: D102


class Compile(Protocol):
    """A compiler for inference (``model.runtimes``)."""

    own_threads: bool
    """Whether what it compiled computes with threads of its own, beside torch's."""
    few_shapes: bool
    """Whether each new set of sizes costs so much that padding to fewer of them is worth it."""

    def __call__(self, module: nn.Module, *examples: Tensor) -> nn.Module:
        """``module``, of tensors to one or several, compiled for any sizes of their dimensions.

        Types and numbers of dimensions are those of ``examples``. The module is traced: what it
        does must not depend on values, nor in Python on sizes.
        """


@runtime_checkable
class Compilable(Protocol):
    """A part of which something gains by being compiled; others run in torch."""

    def compile_with(self, compile: Compile) -> None:  # noqa: A002
        """Become faster for inference, and for good."""


class Encoder(Part, Protocol):
    """Waveforms at its own rate -> frames. It owns its front end."""

    sample_rate: int
    """Hertz."""
    width: int
    """D of its frames."""
    frame_s: float
    """Seconds of sound per frame."""
    min_samples: int
    """The shortest clip that gives a frame."""
    precise: tuple[str, ...]
    """What the names of those weights begin with that stay in float32 in half precision."""

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, D]; for training."""

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Waveforms [S] -> frames [T, D] of each, none of them padding; for use.

        No clip's frames depend on the others. How clips are put together (packed, padded, in
        windows, as many as memory allows) is decided here alone.
        """

    def fold_norms(self) -> None:
        """Become faster for inference, and for good; may do nothing."""

    def __call__(self, samples: Tensor, lengths: Tensor) -> Encoded: ...  # noqa: D102


class Adapter(Part, Protocol):
    """All that learns between a frozen encoder and the comparison."""

    width: int
    """D of what it returns."""

    def forward(self, encoded: Encoded) -> Encoded:
        """[B, T, D of the encoder] -> [B, T, D]; T may change."""

    def __call__(self, encoded: Encoded) -> Encoded: ...  # noqa: D102


class DiffBlock(Part, Protocol):
    """What the input has and the reference has not. A clip without a reference does not pass it."""

    makes_memory: bool
    """Whether what it returns is the decoder's memory also where there is an event head; else it
    is what is left of the input, of which the event head makes the memory."""

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        """[B, T, D] and [B, R, D] -> the decoder's memory, of any length."""

    def __call__(self, input: Encoded, reference: Encoded) -> Difference: ...  # noqa: A002, D102


class Decoder(Part, Protocol):
    """Memory -> tokens, for training and for search, with one set of weights."""

    max_positions: int
    """The longest memory, in frames; of one that stands before the words, with these."""
    pad_token_id: int
    """What stands after the end of a caption."""

    def forward(self, difference: Difference, tokens: Tensor) -> Tensor:
        """Logits [B, L, V] of each of ``tokens`` [B, L] given the memory and those before it.

        One that answers prompts (``config.prompts``) takes their ids here and in ``generate``, as
        ``prompt`` [B, P]; and in ``generate`` who reads along, as ``watch`` (``search.Watch``).
        """

    def generate(
        self,
        difference: Difference,
        *,
        num_beams: int,
        num_captions: int,
        max_new_tokens: int,
        min_length: int,
        no_repeat_ngram_size: int,
        no_repeat_window: int = 0,
        length_penalty: float,
        early_stopping: bool,
    ) -> Sequences:
        """Search captions for B memories; the settings are Transformers'.

        ``no_repeat_window`` is ours: no token follows that is one of so many before it.
        """

    def __call__(self, difference: Difference, tokens: Tensor) -> Tensor: ...  # noqa: D102


class LevelMeter(Part, Protocol):
    """Where there is one: how loud a clip's frames are."""

    bands: int
    width: int
    """The bands, and what else is told of each frame behind them."""

    def forward(self, samples: Tensor, lengths: Tensor, frames: int) -> Tensor:
        """[B, S], zero beyond ``lengths`` [B] -> [B, T, width], T = ``frames``."""

    def __call__(self, samples: Tensor, lengths: Tensor, frames: int) -> Tensor: ...  # noqa: D102


class EventHead(Part, Protocol):
    """Where there is one: the kinds of sound in frames, and in what is left of them."""

    width: int
    """D' of what it hears."""

    def hear(self, encoded: Encoded) -> Encoded:
        """Frames [B, T, D] -> what the diff block compares, [B, T, D']."""

    def forward(self, difference: Difference, compared: Tensor) -> Difference:
        """What is left -> the decoder's memory, with ``events``; ``compared`` [B] bool."""

    def probabilities(self, frames: Tensor) -> Tensor:
        """[B, T, D'], heard or what is left of it -> the events [B, T, K]."""

    def __call__(self, difference: Difference, compared: Tensor) -> Difference: ...  # noqa: D102


@dataclass(frozen=True)
class Parts:
    """One of each."""

    encoder: Encoder
    adapter: Adapter
    difference: DiffBlock
    decoder: Decoder
    events: EventHead | None = None
    levels: LevelMeter | None = None
