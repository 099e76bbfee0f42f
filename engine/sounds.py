"""Events of frames -> sounds of a clip: what is heard, how surely, and when.

Shapes: T frames, K kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from model.events import SILENCE
from model.types import Interval, Sound

MOST = 10
"""Sounds that are told of."""
LEAST = 0.1
"""Probability below which a sound is not told of."""


def sounds(events: Tensor, labels: Sequence[str], frame_s: float) -> tuple[Sound, ...]:
    """The sounds of one clip, best first, from its events [T, K].

    A sound lasts while its probability is at least half of its highest, and ``LEAST``. Silence is
    none.
    """
    scores, kinds = events.amax(dim=0).topk(min(MOST + 1, len(labels)))
    return tuple(
        Sound(
            labels[kind],
            round(score, 4),
            _intervals((events[:, kind] >= max(LEAST, score / 2)).tolist(), frame_s),
        )
        for score, kind in zip(scores.tolist(), kinds.tolist(), strict=True)
        if score >= LEAST and labels[kind] != SILENCE
    )[:MOST]


def shared(first: Tensor, second: Tensor) -> Tensor:
    """The events [T, K] of one clip as far as the other [R, K] has them at any time."""
    return first.minimum(second.amax(dim=0))


def _intervals(active: Sequence[bool], frame_s: float) -> tuple[Interval, ...]:
    """The stretches of frames that are True."""
    found: list[Interval] = []
    start: int | None = None
    for t, on in enumerate([*active, False]):
        if on and start is None:
            start = t
        elif not on and start is not None:
            found.append(Interval(round(start * frame_s, 4), round(t * frame_s, 4)))
            start = None
    return tuple(found)
