"""Pairs of clips of which one is the other, edited, and what is said of the edit.

A scene is a background and foreground sounds over it; up to two of its sounds are added, removed,
made louder or quieter, replaced by another recording of their kind or moved. Beside the edits the
clips differ in what nobody speaks of: cut, storage, a little in level. Every pair is a function of
the seed and its index alone.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.captions.edits import EVERYTHING, Edit, Noun, backgrounds, noun, sentence, steady
from training.captions.naming import apart
from training.datasets.recording import Samples
from training.samples.collate import Sample
from training.scenes import augment
from training.scenes.scene import active_span

LENGTH_S = (3.5, 10.0)
COUNTS = {0: 0.16, 1: 0.58, 2: 0.26}
"""Edits of a pair."""
KINDS = {"add": 0.52, "level": 0.28, "replace": 0.09, "move": 0.07, "all": 0.04}
"""Added and removed are one, and so are louder and quieter: each pair is learned both ways."""
CHANGE_DB = (5.0, 14.0)
ABOVE_DB = (-3.0, 18.0)
"""Foreground sounds over the background, each over its own length."""
AUDIBLE_DB = -5.0
MOVED_S = 1.2
"""At least."""
IMPERATIVE = 0.2
"""Of the sentences."""


class Labelled(Protocol):
    """A recording, or what is known of it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """AudioSet's names of what is heard, the first the most specific."""


class Recordings(Protocol):
    """What scenes are made of; ``scenes.store.Store`` is one."""

    @property
    def recordings(self) -> Sequence[Labelled]:
        """By number."""

    def samples(self, number: int) -> Samples:
        """[S] of one."""


@dataclass(frozen=True)
class Part:
    """A sound of a scene."""

    noun: Noun
    samples: Samples
    """At the mean power of 1."""
    start: int
    gain_db: float
    fills: bool
    """A background: it lasts from the beginning to the end."""
    number: int
    """Of its recording."""


@dataclass(frozen=True)
class Pair:
    """A scene before and after its edits."""

    before: Samples
    after: Samples
    edits: tuple[Edit, ...]
    apart: Samples
    """[S]: what the edits alone make another, but for a change of everything."""


class Edits(Dataset[Sample]):
    """Pairs of scenes of a store's recordings."""

    def __init__(
        self,
        store: Recordings,
        encode: Callable[[str, str], Tensor],
        *,
        sample_rate: int,
        seed: int,
        change_db: tuple[float, float] = CHANGE_DB,
    ) -> None:
        """``encode``: a sentence and its style -> tokens [L]; ``sample_rate`` is the store's.

        What is louder is so by ``change_db``, from and to.
        """
        self.store = store
        self.change_db = change_db
        self.encode = encode
        self.rate = sample_rate
        self.seed = seed
        self.by_noun: dict[Noun, list[int]] = {}
        for number, recording in enumerate(store.recordings):
            called = noun(recording.labels[0]) if recording.labels else None
            if called is not None:
                self.by_noun.setdefault(called, []).append(number)
        self.nouns = list(self.by_noun)
        self.fill = [called for called in self.nouns if called.label in backgrounds()]

    def __getitem__(self, index: int) -> Sample:
        """``input`` and ``reference`` [S], ``tokens`` [L], and of the clips swapped."""
        rng = np.random.default_rng((self.seed, 31, index))
        pair = self.pair(rng)
        style = "imperative" if rng.random() < IMPERATIVE else "statement"
        inverse = [edit.inverse for edit in pair.edits]
        return {
            "input": torch.from_numpy(pair.after),
            "reference": torch.from_numpy(pair.before),
            "tokens": self.encode(sentence(pair.edits, style), style),
            "inverse_tokens": self.encode(sentence(inverse, style), style),
        }

    def drawn(self, kinds: Sequence[str], count: int) -> Iterator[tuple[int, Pair]]:
        """So many pairs that have just the edits of these ``kinds``, by their numbers."""
        found = number = 0
        while found < count:
            pair = self.numbered(number, kinds)
            if len(pair.edits) == len(kinds):
                found += 1
                yield number, pair
            number += 1

    def numbered(self, number: int, kinds: Sequence[str]) -> Pair:
        """A pair with the edits of these ``kinds``, or with fewer where they cannot be made."""
        return self.pair(np.random.default_rng((self.seed, 37, number)), kinds)

    def pair(self, rng: np.random.Generator, kinds: Sequence[str] | None = None) -> Pair:
        """A pair; ``kinds``, of ``KINDS``, are its edits', if they are given."""
        size = int(rng.uniform(*LENGTH_S) * 10) * self.rate // 10  # of small prime factors
        before = self._scene(rng, size)
        after = list(before)
        edits: list[Edit] = []
        if kinds is None:
            count = int(rng.choice(list(COUNTS), p=list(COUNTS.values())))
            kinds = rng.choice(list(KINDS), size=count, p=list(KINDS.values())).tolist()
        overall = 0.0
        for kind in kinds:
            touched = [edit.noun for edit in edits]
            if kind == "all":
                if edits or not before:
                    continue
                overall = float(rng.uniform(*self.change_db)) * rng.choice([-1, 1])
                edits.append(Edit("louder" if overall > 0 else "quieter", EVERYTHING))
                break
            if edit := self._edit(kind, before, after, touched, size, rng):
                edits.append(edit)
        apart = _mixed(after, size) - _mixed(before, size)
        if rng.random() < 0.25:  # what goes on is not heard from the same moment on
            after = [self._cut_anew(part, size, rng) for part in after]
        clips = [_mixed(before, size), _mixed(after, size)]
        clips[1] *= np.float32(10 ** (overall / 20))
        if rng.random() < 0.5:
            clips.reverse()
            edits = [edit.inverse for edit in edits]
        first, second = self._recorded(clips, rng)
        return Pair(first, second, tuple(edits), apart)

    def _scene(self, rng: np.random.Generator, size: int) -> list[Part]:
        parts: list[Part] = []
        if rng.random() < 0.85:
            called = self.fill[rng.integers(len(self.fill))]
            parts.append(replace(self._part(called, size, rng, fills=True), gain_db=0.0))
        least = 0 if parts else 1
        for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.2, 0.42, 0.28, 0.1])) or least):
            self._put(parts, parts, size, rng)
        return parts

    def _put(
        self, parts: list[Part], others: Sequence[Part], size: int, rng: np.random.Generator
    ) -> Part | None:
        """Lay one more sound over ``parts``, of a kind apart from theirs and ``others``'."""
        there = [part.noun.label for part in (*parts, *others)]
        for _ in range(20):
            called = self.nouns[rng.integers(len(self.nouns))]
            if all(apart((called.label,), (label,)) for label in there):
                part = self._part(called, size, rng, fills=False)
                parts.append(part)
                return part
        return None

    def _part(self, called: Noun, size: int, rng: np.random.Generator, *, fills: bool) -> Part:
        numbers = self.by_noun[called]
        number = numbers[rng.integers(len(numbers))]
        fills = fills or (called.label in backgrounds() and rng.random() < 0.5)
        samples = self._sound(number, size, rng, fills=fills)
        start = 0 if fills else int(rng.integers(size - len(samples) + 1))
        gain = float(rng.uniform(-5, 5) if fills else rng.uniform(*ABOVE_DB))
        return Part(called, samples, start, gain, fills, number)

    def _sound(self, number: int, size: int, rng: np.random.Generator, *, fills: bool) -> Samples:
        """A recording's audible part at mean power 1, as long as the scene if it ``fills`` it."""
        samples = self.store.samples(number)
        first, last = active_span(samples, self.rate, 45)
        samples = samples[first:last]
        if rng.random() < 0.4:
            samples = augment.change_speed(samples, float(np.exp(rng.uniform(-0.15, 0.15))))
        if rng.random() < 0.05:
            samples = augment.reverberate(samples, rng, self.rate)
        if fills:
            samples = _looped(samples, size, self.rate // 10)
        else:
            longest = int(size * rng.uniform(0.3, 0.8))
            if len(samples) > longest:
                start = int(rng.integers(len(samples) - longest + 1))
                samples = samples[start : start + longest]
            elif len(samples) < longest / 2 and rng.random() < 0.5:  # again
                gap = np.zeros(int(rng.uniform(0.05, 0.5) * self.rate), np.float32)
                samples = np.concatenate([samples, gap, samples])[:longest]
            samples = augment.faded(samples, self.rate // 100)
        return samples / np.float32(max(np.sqrt(augment.power(samples)), 1e-6))

    def _edit(
        self,
        kind: str,
        before: list[Part],
        after: list[Part],
        touched: Sequence[Noun],
        size: int,
        rng: np.random.Generator,
    ) -> Edit | None:
        """Change ``after``, and what must be for that in ``before``; None where it cannot be."""
        if kind == "add":
            part = self._put(after, before, size, rng)
            return None if part is None else Edit("added", part.noun)
        there = [n for n, part in enumerate(after) if part.noun not in touched]
        there = [n for n in there if kind != "move" or not after[n].fills]
        if not there:
            return None
        place = int(rng.choice(there))
        part = after[place]
        if kind == "level":
            change = float(rng.uniform(*self.change_db)) * rng.choice([-1, 1])
            over = [other.gain_db - change for other in after if part.fills and not other.fills]
            if min([*over, part.gain_db + change if not part.fills else 0.0]) < AUDIBLE_DB:
                change = -change
            after[place] = replace(part, gain_db=part.gain_db + change)
            return Edit("louder" if change > 0 else "quieter", part.noun)
        if kind == "replace":
            others = [n for n in self.by_noun[part.noun] if n != part.number]
            if not others:
                return None
            number = others[rng.integers(len(others))]
            samples = self._sound(number, size, rng, fills=part.fills)
            start = min(part.start, size - len(samples))
            after[place] = replace(part, samples=samples, start=start, number=number)
            return Edit("different", part.noun)
        room = [s for s in _starts(part, size, int(MOVED_S * self.rate)) if s[1] > s[0]]
        if not room:
            return None
        start = int(rng.integers(*room[rng.integers(len(room))]))
        after[place] = replace(part, start=start)
        return Edit("later" if start > part.start else "earlier", part.noun)

    def _cut_anew(self, part: Part, size: int, rng: np.random.Generator) -> Part:
        if not part.fills or part.noun.label not in steady():
            return part
        return replace(part, samples=np.roll(part.samples, int(rng.integers(size))))

    def _recorded(self, clips: Sequence[Samples], rng: np.random.Generator) -> list[Samples]:
        """At one level, in one room, and each as it might be stored: [S] -> [S]."""
        loudest = max(np.sqrt(augment.power(clip)) for clip in clips)
        peak = max(float(np.abs(clip).max()) for clip in clips)
        gain = min(10 ** (rng.uniform(-38, -12) / 20) / max(loudest, 1e-9), 0.98 / max(peak, 1e-9))
        clips = [clip * np.float32(gain) for clip in clips]
        if rng.random() < 0.25:
            same = int(rng.integers(1 << 31))
            clips = [
                augment.equalize(clip, np.random.default_rng(same), self.rate) for clip in clips
            ]
        if rng.random() < 0.3:
            return clips
        return [self._stored(clip, rng) for clip in clips]

    def _stored(self, clip: Samples, rng: np.random.Generator) -> Samples:
        if rng.random() < 0.3:
            moved = int(rng.integers(0, int(0.3 * self.rate)))
            clip = np.concatenate([clip[moved:], clip[:moved]])
        if rng.random() < 0.2:
            clip = augment.quantize8(clip)
        if rng.random() < 0.4:
            loud = 10 * np.log10(augment.power(clip) + 1e-12)
            clip = augment.add_noise(clip, rng, loud - rng.uniform(25, 50))
        return clip * np.float32(10 ** (rng.uniform(-1, 1) / 20))


def _mixed(parts: Sequence[Part], size: int) -> Samples:
    mixed = np.zeros(size, np.float32)
    for part in parts:
        end = part.start + len(part.samples)
        mixed[part.start : end] += np.float32(10 ** (part.gain_db / 20)) * part.samples
    return mixed


def _looped(samples: Samples, size: int, fade: int) -> Samples:
    """[S] -> [``size``]: from its beginning again and again, faded over into itself."""
    fade = min(fade, len(samples) // 4)
    if len(samples) < size:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        joint = samples[:fade] * ramp + samples[len(samples) - fade :] * ramp[::-1]
        samples = np.concatenate([joint, samples[fade : len(samples) - fade]])
    return np.resize(samples, size)


def _starts(part: Part, size: int, least: int) -> list[tuple[int, int]]:
    """From where to where the part may begin, moved by ``least`` samples or more."""
    return [(0, part.start - least), (part.start + least, size - len(part.samples))]
