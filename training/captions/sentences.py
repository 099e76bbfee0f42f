"""Sentences that people wrote, and the sounds that their words stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from training.captions.ontology import AUDIOSET
from training.captions.sounds import layout, understood
from training.captions.wording import normalize_caption

NOTHING = (
    "a faint noise",
    "a faint sound is heard",
    "a quiet indistinct noise",
    "a faint rustling noise",
    "some faint background noise",
    "an indistinct faint sound",
)
SILENCE = (
    "silence",
    "nothing is heard",
    "there is silence",
    "almost nothing is heard",
)
NO_DIFFERENCE = (
    "there is no difference",
    "nothing new is heard",
    "no new sound is heard",
    "no difference is heard",
)

UNDERSTOOD = {"audiocaps": 0.8, "clotho": 0.9}
"""Style -> the share of a sentence's words that must be; Clotho's speak of what is not heard."""
MOST_SOUNDS, MOST_WORDS = 6, 22

_KINDS = frozenset(AUDIOSET)


@dataclass(frozen=True)
class Sentence:
    """A caption and its sounds."""

    text: str
    """Normalized."""
    groups: tuple[tuple[str, ...], ...]
    """AudioSet's names in the order of time, those of a group together; at least one."""
    background: tuple[str, ...]
    style: str
    """The data set it is from: a key of ``UNDERSTOOD``."""

    @property
    def sounds(self) -> frozenset[str]:
        """All that is heard."""
        return frozenset(kind for group in self.groups for kind in group)


def read_off(captions: Iterable[str], style: str) -> list[Sentence]:
    """Those captions whose sounds can be told from their words, and which these are."""
    return [sentence for caption in captions if (sentence := _read_off(caption, style))]


def _read_off(caption: str, style: str) -> Sentence | None:
    heard = layout(caption)
    known = (tuple(kind for kind in group if kind in _KINDS) for group in heard.groups)
    groups = tuple(group for group in known if group)
    text = normalize_caption(caption)
    if (
        not 0 < sum(map(len, groups)) <= MOST_SOUNDS
        or len(text.split()) > MOST_WORDS
        or understood(caption) < UNDERSTOOD[style]
    ):
        return None
    return Sentence(text, groups, heard.background, style)
