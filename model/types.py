"""The few values that travel: bytes -> Waveform -> Encoded -> Difference -> Description.

Shapes: B clips, S samples, T encoder frames, D features, N captions per clip, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # what only knows options and limits, as --help does, need not wait for torch
    from torch import Tensor


@dataclass(frozen=True)
class SourceInfo:
    """What the decoded file was, before mixing to mono and resampling."""

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    """Lower-case container or codec name: "wav", "flac", "ogg", "mp3", "m4a", "webm", ..."""
    warnings: tuple[str, ...] = ()
    """What of it could not be heard, a sentence each."""


@dataclass(frozen=True)
class Waveform:
    """One mono clip, float32 in [-1, 1], at the rate the checkpoint works at."""

    samples: Tensor
    """[S] float32 on the CPU."""
    sample_rate: int
    source: SourceInfo

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.shape[-1] / self.sample_rate


@dataclass(frozen=True)
class Encoded:
    """Encoder frames of B clips; ``mask`` is True on frames that hold sound, False on padding."""

    frames: Tensor
    """[B, T, D]."""
    mask: Tensor
    """[B, T] bool."""
    levels: Tensor | None = None
    """[B, T, bands], how loud the clips were before an encoder evened that out; None where nothing
    asks for it."""

    def split(self) -> list[Encoded]:
        """The B clips one by one, each without its padding: ``frames`` [1, T_b, D]."""
        lengths = self.mask.sum(dim=1).tolist()
        return [
            Encoded(
                self.frames[b : b + 1, :length],
                self.mask[b : b + 1, :length],
                None if self.levels is None else self.levels[b : b + 1, :length],
            )
            for b, length in enumerate(lengths)
        ]

    def take(self, rows: Sequence[int] | Tensor) -> Encoded:
        """The clips of these rows."""
        index = list(rows) if isinstance(rows, Sequence) else rows
        levels = None if self.levels is None else self.levels[index]
        return Encoded(self.frames[index], self.mask[index], levels)

    def clone(self) -> Encoded:
        """The same in memory of its own."""
        levels = None if self.levels is None else self.levels.clone()
        return Encoded(self.frames.clone(), self.mask.clone(), levels)

    @staticmethod
    def of(frames: Tensor) -> Encoded:
        """One clip without padding: [T, D] -> [1, T, D]."""
        return Encoded(frames[None], frames.new_ones(1, len(frames)).bool())

    @staticmethod
    def join(clips: Sequence[Encoded]) -> Encoded:
        """Pad batches of one clip to a common length: the inverse of ``split``."""
        from torch.nn.utils.rnn import pad_sequence

        frames = [clip.frames[0] for clip in clips]
        masks = [clip.mask[0] for clip in clips]
        levels = [clip.levels[0] for clip in clips if clip.levels is not None]
        return Encoded(
            pad_sequence(frames, batch_first=True),
            pad_sequence(masks, batch_first=True),
            pad_sequence(levels, batch_first=True) if len(levels) == len(clips) else None,
        )


@dataclass(frozen=True)
class Difference:
    """What a diff block leaves of the input: the decoder's memory."""

    memory: Tensor
    """[B, T, D]; T may differ from the input's."""
    mask: Tensor
    """[B, T] bool."""
    kept: Tensor | None
    """[B, T] in [0, 1]: how much of each frame is new; None where no part of the model says it."""
    events: Tensor | None = None
    """[B, T, K] in [0, 1]: which kinds of sound are left; None without an event head."""


MAX_BEAMS = 8
MAX_NEW_TOKENS = 100
Style = Literal["rest", "changes"]
"""How a difference is told: what the input has and the reference has not, or what has changed
from the reference to the input."""
Operation = Literal["add", "remove", "louder", "quieter", "change", "earlier", "later"]
"""What makes the input of the reference."""


@dataclass(frozen=True)
class GenerationOptions:
    """How captions are searched for; ``None`` means the checkpoint's own setting."""

    num_beams: int | None = None
    """1 (greedy) to ``MAX_BEAMS``."""
    num_captions: int = 1
    """1 to ``num_beams``: alternatives, best first."""
    max_new_tokens: int | None = None
    """1 to ``MAX_NEW_TOKENS``: a longer sentence is cut, at a whole word."""
    style: Style = "rest"
    """Of a difference."""


@dataclass(frozen=True)
class Sequences:
    """What a decoder found for B clips: N token sequences each, best first."""

    tokens: Tensor
    """[B, N, L] without the start token, padded after the end-of-sentence token."""
    lengths: Tensor
    """[B, N] generated tokens, end-of-sentence included; a forced first one is not generated."""
    scores: Tensor
    """[B, N] mean log-probability per generated token."""


@dataclass(frozen=True)
class Caption:
    """One sentence and how sure the decoder is of it."""

    text: str
    score: float
    """Mean log-probability per generated token (end-of-sentence included)."""
    tokens: int
    """Generated tokens, end-of-sentence included, and those that were cut off."""
    truncated: bool = False
    """Whether the sentence goes on; the score is that of the whole one."""


@dataclass(frozen=True)
class Interval:
    """A stretch of a clip."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Sound:
    """A kind of sound that is heard, and when."""

    label: str
    """AudioSet's name, or that of one of the few kinds that it lacks."""
    score: float
    """In [0, 1]: the probability where it is highest."""
    events: tuple[Interval, ...]


@dataclass(frozen=True)
class Change:
    """How a sound of the input is another than in the reference."""

    operation: Operation
    sound: str
    """As the caption calls it, without its article."""
    confidence: float
    """In [0, 1]."""


@dataclass(frozen=True)
class Segment:
    """How much of one encoder frame of the input is new against the reference."""

    start_s: float
    end_s: float
    kept: float | None
    """In [0, 1]; None where no part of the model says it."""


@dataclass(frozen=True)
class Description:
    """What is answered for one clip or one pair."""

    captions: tuple[Caption, ...]
    """At least one, best first."""
    timeline: tuple[Segment, ...] | None
    """One segment per encoder frame of the input; None for a plain caption."""
    sounds: tuple[Sound, ...] = ()
    """What is heard, or new, best first; empty for a model without an event head."""
    shared: tuple[Sound, ...] | None = None
    """What input and reference both have; None for a plain caption."""
    changes: tuple[Change, ...] | None = None
    """What the best caption says has changed; None in another style."""

    @property
    def best(self) -> Caption:
        """The caption to show."""
        return self.captions[0]
