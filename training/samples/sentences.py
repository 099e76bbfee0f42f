"""Sentences without audio: what people wrote, and the events that their words stand for.

The lexicon reads the events off a sentence, in the order of time; each is laid out as a track of
probabilities, real ones of a recording where there is one, else made up. So a decoder learns to
tell events before it has heard anything. Every sample is a function of the seed and its index.

Shapes: T frames, K kinds, L tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from model.events import SILENCE as SILENT
from training.captions.ontology import children, expand, parents
from training.captions.sentences import NO_DIFFERENCE, NOTHING, SILENCE, ByKind, Sentence
from training.samples.collate import Sample
from training.samples.tracks import KINDS, Track, Tracks

BY_KIND = 0.65
"""Of the samples."""
LEFT = 0.3
"""Probability up to which what is left of a clip that was compared is no difference."""
REAL = 0.75
"""Of the tracks of kinds that there are recordings of."""


class Sentences(Dataset[Sample]):
    """Sentences of several data sets, now and then one of next to nothing."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        tracks: Tracks,
        encode: Callable[[str, str], Tensor],
        *,
        seed: int,
        shares: Mapping[str, float],
    ) -> None:
        """``encode`` makes tokens of a text in a style; ``shares`` of the samples are of each.

        Sentences that speak of other sounds than a track's kinds are left out.

        Raises ValueError if there is no sentence in any of them.
        """
        known = [one for one in sentences if one.sounds <= KINDS.keys()]
        told = {style: [one for one in known if one.style == style] for style in shares}
        self.by_style = {style: some for style, some in told.items() if some}
        if not self.by_style:
            raise ValueError("there is no sentence whose sounds can be told from its words")
        self.tracks = tracks
        self.encode = encode
        self.seed = seed
        self.by_kind = ByKind(itertools.chain(*self.by_style.values()))
        weights = np.array([shares[style] for style in self.by_style])
        self.shares = weights / weights.sum()
        self.kin = {kind: np.array(sorted(map(KINDS.__getitem__, _kin(kind)))) for kind in KINDS}
        self.silence = KINDS[SILENT]

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, K], the events, ``tokens`` [L], ``compared`` bool."""
        rng = np.random.default_rng((self.seed, 21, index))
        compared = bool(rng.random() < 0.3)
        if rng.random() < 0.08:
            events, text, style = *self.nothing(rng, compared), "audiocaps"
        else:
            sentence = self.sentence(rng)
            events, text, style = self.events(sentence, rng), sentence.text, sentence.style
            if compared:  # a mask takes of what it should leave, too
                events *= np.float32(rng.uniform(0.6, 1))
        return {
            "input": torch.from_numpy(events.astype(np.float32)),
            "tokens": self.encode(text, style),
            "compared": torch.tensor(compared),
        }

    def sentence(self, rng: np.random.Generator) -> Sentence:
        """One of a style, or one of a kind."""
        if rng.random() < BY_KIND:
            return self.by_kind.draw(rng)
        told = self.by_style[[*self.by_style][rng.choice(len(self.shares), p=self.shares)]]
        return told[rng.integers(len(told))]

    def nothing(self, rng: np.random.Generator, compared: bool) -> tuple[Track, str]:
        """Hardly any event, and what is said then."""
        events = self.background(int(rng.integers(12, 33)), rng) * np.float32(rng.uniform(0, 0.7))
        if compared:  # and it leaves of what it should take
            left = _fitted(self.tracks.any(rng), len(events), rng)
            least = rng.uniform(0, LEFT)
            events = np.maximum(events, left * np.float32(least / max(least, left.max())))
            events[:, self.silence] *= rng.random() < 0.5
            return events, str(rng.choice(NO_DIFFERENCE))
        if rng.random() < 0.5:
            events *= np.float32(0.3)
            events[:, self.silence] = rng.uniform(0.35, 1)
            return events, str(rng.choice(SILENCE))
        return events, str(rng.choice(NOTHING))

    def background(self, frames: int, rng: np.random.Generator) -> Track:
        """Real probabilities without what is strong in them."""
        track = _fitted(self.tracks.any(rng), frames, rng)
        strong = track.max(axis=0) > 0.15
        return np.where(strong, np.float32(0), track)

    def events(self, sentence: Sentence, rng: np.random.Generator) -> Track:
        """[T, K]: the sentence's events laid out in time, over a background."""
        frames = int(rng.integers(12, 33))
        absent = 1 - self.background(frames, rng) * np.float32(rng.uniform(0, 1))
        edges = edges_of(sentence, rng) * frames
        crowd = sum(map(len, sentence.groups))
        told = np.zeros(len(KINDS), bool)
        told[[KINDS[name] for kind in sentence.sounds for name in (kind, *expand(kind))]] = True
        for group, low, high in zip(sentence.groups, edges[:-1], edges[1:], strict=True):
            for kind in group:
                behind = kind in sentence.background
                span = Span(0, frames) if behind else Span.within(low, high, rng)
                track = self.track(kind, told, span.size, rng)
                softest = 0.7 if crowd > 1 else 0.8
                loud = rng.uniform(0.5, 0.9) if behind else rng.uniform(softest, 1)
                absent[span.start : span.start + span.size] *= 1 - track * np.float32(loud)
        return 1 - absent

    def track(
        self, kind: str, told: NDArray[np.bool_], frames: int, rng: np.random.Generator
    ) -> Track:
        """[frames, K]: one kind's, with what is mistaken for it.

        What is not ``told`` [K] is less likely than what is.
        """
        real = self.tracks.of(kind, told, rng) if rng.random() < REAL else None
        if real is not None:
            track = _fitted(real, frames, rng)
            own = float(track[:, KINDS[kind]].max())
            limit = np.full(track.shape[1], 0.6 * own, np.float32)
            limit[self.kin[kind]] = 0.9 * own
            limit[told] = 1
            return np.minimum(track, limit)
        peak = np.float32(rng.beta(3, 1.6))
        shape = np.minimum(1, rng.uniform(0.4, 1.3, (frames, 1))).astype(np.float32)
        track = np.zeros((frames, len(KINDS)), np.float32)
        track[:, KINDS[kind]] = peak
        for name in expand(kind):
            track[:, KINDS[name]] = min(1.0, float(peak * rng.uniform(0.5, 1.15)))
        for name in _below(kind):
            if rng.random() < 0.25:
                track[:, KINDS[name]] = peak * rng.uniform(0.02, 0.5)
        return track * shape


def edges_of(sentence: Sentence, rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the groups of a sentence begin and end, from 0 to 1."""
    inner = np.sort(rng.uniform(0.15, 0.85, len(sentence.groups) - 1))
    return np.concatenate([[0], inner, [1]])


@dataclass(frozen=True)
class Span:
    """Where an event lies, in frames or samples."""

    start: int
    size: int

    @staticmethod
    def within(low: float, high: float, rng: np.random.Generator, least: int = 1) -> Span:
        """Most of a stretch, or a part of it; ``least`` long if the stretch is."""
        if rng.random() < 0.5:
            first, last = low + rng.uniform(0, 0.15) * (high - low), high
        else:
            length = rng.uniform(0.2, 1) * (high - low)
            first = low + rng.random() * (high - low - length)
            last = first + length
        start = int(max(low, min(first, high - least)))
        return Span(start, max(1, min(round(max(last, start + least)), int(high)) - start))


def _below(kind: str) -> list[str]:
    return [name for name in children(kind) if name in KINDS]


def _kin(kind: str) -> set[str]:
    """The kinds that may be mistaken for one: it, those above, below and beside it."""
    beside = [name for above in parents(kind) for name in _below(above)]
    return {kind, *expand(kind), *_below(kind), *beside}


def _fitted(track: Track, frames: int, rng: np.random.Generator) -> Track:
    """A stretch of ``frames`` of a track, which is repeated where it is shorter."""
    if len(track) >= frames:
        start = int(rng.integers(len(track) - frames + 1))
        return track[start : start + frames]
    return np.resize(track, (frames, track.shape[1]))
