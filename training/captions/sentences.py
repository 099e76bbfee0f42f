"""Sentences that people wrote, and the sounds that their words stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from training.captions.layout import layout
from training.captions.sounds import understood
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

PLAYED = {
    "Accordion": "accordion",
    "Acoustic guitar": "acoustic guitar",
    "Banjo": "banjo",
    "Bass drum": "bass drum",
    "Bass guitar": "bass guitar",
    "Bowed string instrument": "bowed instrument",
    "Cello": "cello",
    "Clarinet": "clarinet",
    "Cymbal": "cymbal",
    "Didgeridoo": "didgeridoo",
    "Double bass": "double bass",
    "Drum kit": "drum kit",
    "Electric guitar": "electric guitar",
    "Flute": "flute",
    "French horn": "french horn",
    "Glockenspiel": "glockenspiel",
    "Harmonica": "harmonica",
    "Harp": "harp",
    "Hi-hat": "hihat",
    "Mandolin": "mandolin",
    "Maraca": "maraca",
    "Marimba, xylophone": "xylophone",
    "Organ": "organ",
    "Plucked string instrument": "string instrument",
    "Rattle (instrument)": "rattle",
    "Saxophone": "saxophone",
    "Sitar": "sitar",
    "Snare drum": "snare drum",
    "Tabla": "tabla",
    "Tambourine": "tambourine",
    "Trombone": "trombone",
    "Trumpet": "trumpet",
    "Ukulele": "ukulele",
    "Vibraphone": "vibraphone",
    "Violin, fiddle": "violin",
    "Wood block": "woodblock",
}
"""Instruments, of which people wrote next to nothing."""
PLAYING = ("{} is being played", "someone plays {}", "{} is played", "a person is playing {}")
RARE = {
    "Can opening": (
        "a can is opened",
        "someone opens a can of soda",
        "a soda can is popped open",
    ),
    "Drinking, sipping": (
        "a person drinks from a cup",
        "someone is sipping a drink",
        "a person slurps and swallows",
        "a man takes a sip and gulps",
    ),
    "Mouse click": (
        "a computer mouse clicks",
        "someone clicks a computer mouse",
        "a computer mouse is clicked several times",
    ),
    "Washing machine": (
        "a washing machine is running",
        "a washing machine spins",
        "a washing machine is washing clothes",
    ),
    "A capella": ("people sing together in harmony", "a group of people sing a cappella"),
    "Drum machine": ("a drum machine plays a beat", "a drum machine keeps a beat"),
    "Gargling": ("a person is gargling", "a man gargles"),
    "Heavy metal": ("heavy metal music plays", "loud metal music is playing"),
    "Classical music": ("classical music plays", "an orchestra plays classical music"),
    "Pink noise": ("loud static noise", "a steady noise hisses"),
    "Roaring cats (lions, tigers)": ("a lion roars", "a big cat is growling and roaring"),
    "Single-lens reflex camera": ("a camera shutter clicks", "a camera takes a picture"),
    "Soundtrack music": ("soundtrack music plays", "a slow soundtrack plays"),
    "String section": ("a string section plays", "string instruments play together"),
    "Video game music": ("video game music plays", "music of a video game plays"),
}
"""Further kinds of which people wrote next to nothing, in their manner."""

UNDERSTOOD = {"audiocaps": 0.8, "clotho": 0.9}
"""Style -> the share of a sentence's words that must be; Clotho's speak of what is not heard."""
MOST_SOUNDS, MOST_WORDS = 6, 22
MANY = 40
"""Sentences of a kind."""


@dataclass(frozen=True)
class Sentence:
    """A caption and its sounds."""

    text: str
    """Normalized."""
    groups: tuple[tuple[str, ...], ...]
    """Labels in the order of time, those of a group together; at least one."""
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


class ByKind:
    """Sentences drawn by what they speak of: most speak of few kinds.

    Kinds with fewer than ``MANY`` sentences come the less often: a decoder would learn these by
    heart, and say them of all that sounds alike.
    """

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        of: dict[str, list[Sentence]] = {}
        for one in sentences:
            for kind in sorted(one.sounds):
                of.setdefault(kind, []).append(one)
        self.told = [*of.values()]
        weights = np.array([min(len(told), MANY) for told in self.told], float)
        self.shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Sentence:
        """A kind, then a sentence of it."""
        told = self.told[rng.choice(len(self.told), p=self.shares)]
        return told[rng.integers(len(told))]


def ours() -> list[Sentence]:
    """Sentences of ours, of the kinds that people hardly speak of."""
    said = [(kind, text) for kind, texts in RARE.items() for text in texts]
    for kind, name in PLAYED.items():
        article = "an" if name[0] in "aeio" else "a"
        said += [(kind, phrase.format(f"{article} {name}")) for phrase in PLAYING]
    return [Sentence(text, ((kind,),), (), "audiocaps") for kind, text in said]


def _read_off(caption: str, style: str) -> Sentence | None:
    heard = layout(caption)
    groups = heard.groups
    text = normalize_caption(caption)
    if (
        not 0 < sum(map(len, groups)) <= MOST_SOUNDS
        or len(text.split()) > MOST_WORDS
        or understood(caption) < UNDERSTOOD[style]
    ):
        return None
    return Sentence(text, groups, heard.background, style)
