"""Sentences that people wrote, and the sounds that their words stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
RARE: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "A capella": (["people", "a group of people"], ["sing together in harmony", "sing a cappella"]),
    "Air conditioning": (
        ["an air conditioner", "an air conditioning unit"],
        ["is running", "hums steadily", "is humming and blowing air", "runs in the background"],
    ),
    "Alarm clock": (
        ["an alarm clock", "a digital alarm clock"],
        ["beeps", "is beeping", "rings", "is ringing", "beeps several times"],
    ),
    "Can opening": (
        ["a can", "a soda can", "a beer can"],
        ["is opened", "is popped open", "is being opened", "opens and fizzes"],
    ),
    "Chainsaw": (
        ["a chainsaw"],
        ["is running", "revs", "is cutting wood", "revs up and cuts a tree", "buzzes loudly"],
    ),
    "Classical music": (["an orchestra"], ["plays classical music", "is playing classical music"]),
    "Cluck": (["a hen", "a chicken"], ["clucks", "is clucking", "clucks several times"]),
    "Drinking, sipping": (
        ["a person", "a man", "someone"],
        ["is drinking", "takes a sip and gulps", "sips a drink", "drinks from a cup"],
    ),
    "Drum machine": (["a drum machine"], ["plays a beat", "keeps a beat"]),
    "Electric guitar": (["an electric guitar"], ["is strummed", "plays a riff", "plays loudly"]),
    "Fire": (
        ["a fire", "a campfire", "a log fire"],
        ["crackles", "is burning and crackling", "crackles and pops", "burns nearby"],
    ),
    "Fireworks": (
        ["fireworks"],
        ["are going off", "explode in the distance", "explode loudly", "whistle and burst"],
    ),
    "Fly, housefly": (["a fly", "a housefly"], ["is buzzing", "buzzes around", "buzzes nearby"]),
    "Gargling": (["a person", "a man"], ["is gargling", "gargles"]),
    "Heavy metal": (["heavy metal music", "a metal band"], ["plays", "is playing loudly"]),
    "Jackhammer": (
        ["a jackhammer"],
        ["is running", "pounds the ground", "breaks up concrete", "hammers loudly", "is operating"],
    ),
    "Moo": (["a cow"], ["moos", "is mooing", "moos loudly", "moos several times"]),
    "Mouse click": (
        ["a computer mouse", "a mouse button"],
        ["clicks", "is clicked", "is clicked several times", "clicks twice"],
    ),
    "Pink noise": (["loud static noise", "pink noise"], ["hisses", "plays"]),
    "Roaring cats (lions, tigers)": (["a lion", "a big cat"], ["roars", "is roaring"]),
    "Shatter": (
        ["glass", "a glass", "a window"],
        ["shatters", "breaks and shatters", "is smashed and shatters"],
    ),
    "Single-lens reflex camera": (["a camera"], ["takes a picture", "shutter clicks"]),
    "Soundtrack music": (["soundtrack music", "a slow soundtrack"], ["plays", "is playing"]),
    "String section": (["a string section"], ["plays", "is playing"]),
    "Toothbrush": (
        ["a person", "someone", "a man"],
        ["is brushing teeth", "brushes their teeth", "brushes teeth with a toothbrush"],
    ),
    "Vacuum cleaner": (
        ["a vacuum cleaner"],
        ["is running", "whirs loudly", "is vacuuming a floor", "is switched on and runs"],
    ),
    "Video game music": (["video game music", "music of a video game"], ["plays", "is playing"]),
    "Washing machine": (
        ["a washing machine"],
        ["is running", "spins", "is washing clothes", "rumbles and spins", "runs and hums"],
    ),
}
"""Further kinds of which people wrote little, in their manner: who, and what they do."""

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
        """A kind, then a sentence of it: of two the one that speaks of less."""
        told = self.told[rng.choice(len(self.told), p=self.shares)]
        some: list[Sentence] = [told[n] for n in rng.integers(len(told), size=2)]
        return min(some, key=lambda one: len(one.sounds))


def ours() -> list[Sentence]:
    """Sentences of ours, of the kinds that people hardly speak of."""
    said = [
        (kind, f"{subject} {predicate}")
        for kind, (subjects, predicates) in RARE.items()
        for subject in subjects
        for predicate in predicates
    ]
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
