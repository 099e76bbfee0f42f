"""Human captions rendered from recordings of what they name, mixed by Algorithm 1, with references.

The target is the caption of the input alone, whatever was mixed in and taken away again (equation
13 of Audio Difference Learning). Every sample is a function of the seed and its index alone.

Shapes: S and R samples, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from training.captions.sentences import NO_DIFFERENCE, NOTHING, SILENCE, ByKind, Sentence
from training.datasets.recording import Samples
from training.samples.canvases import LENGTH
from training.samples.collate import Sample
from training.samples.differences import SHARES, Differences
from training.samples.sentences import Span, edges_of
from training.scenes import augment
from training.scenes.algorithm1 import CONDITIONS, matching_gain, mix
from training.scenes.scene import active_span
from training.scenes.store import SAMPLE_RATE

TASKS = {
    "plain": 0.36,
    "difference": 0.3,
    "inverse": 0.12,
    "unrelated": 0.06,
    "silent": 0.04,
    "nothing": 0.08,
    "silence": 0.04,
}


class Rendered(Dataset[Sample]):
    """Samples of the sentences whose kinds all have recordings."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        recordings: Mapping[str, Sequence[int]],
        differences: Differences,
        encode: Callable[[str, str], Tensor],
        *,
        seed: int,
    ) -> None:
        """``recordings``: kind -> numbers of the store's recordings in which it is heard.

        Raises ValueError if there is no such sentence.
        """
        self.sentences = [one for one in sentences if one.sounds <= recordings.keys()]
        if not self.sentences:
            raise ValueError("there is no sentence all of whose sounds have recordings")
        self.by_kind = ByKind(self.sentences)
        self.recordings = recordings
        self.differences = differences
        self.canvases = differences.canvases
        self.encode = encode
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], ``reference`` [R] or None, ``tokens`` [L]."""
        rng = np.random.default_rng((self.seed, 41, index))
        task = str(rng.choice(list(TASKS), p=list(TASKS.values())))
        sentence = self.sentence(rng)
        scene = self.scene(sentence, rng)
        text, style, heard, reference = sentence.text, sentence.style, scene, None
        if task in ("difference", "unrelated"):
            condition = CONDITIONS[str(rng.choice(list(SHARES), p=list(SHARES.values())))]
            mixture = mix(
                scene,
                lambda: self.differences.recording(rng, sentence.sounds)[1],
                condition,
                rng,
                0.5,
            )
            reference = mixture.reference
            heard = mixture.input if task == "difference" else scene
        elif task == "inverse":
            below, _ = self.canvases.canvas(rng)
            heard = scene + below * matching_gain(below, scene)
            reference = below
        elif task == "silent":
            reference = np.zeros(LENGTH // 2, np.float32)
        elif task == "nothing":
            more = scene + self.canvases.canvas(rng)[0]
            reference = self.differences.same(scene, more, rng)
            text, style = str(rng.choice(NO_DIFFERENCE)), "audiocaps"
        elif task == "silence":
            heard, text, style = *self.silence(scene, rng), "audiocaps"
        return {
            "input": self.canvases.recorded(heard, rng),
            "reference": None
            if reference is None
            else self.canvases.recorded(reference[:LENGTH], rng),
            "tokens": self.encode(text, style),
        }

    def silence(self, scene: Samples, rng: np.random.Generator) -> tuple[Samples, str]:
        """Nothing at all, or what is too soft to be named."""
        if rng.random() < 0.6:
            silent = np.zeros(LENGTH, np.float32)
            if rng.random() < 0.5:
                silent = augment.add_noise(silent, rng, rng.uniform(-100, -80))
            return silent, str(rng.choice(SILENCE))
        loud = 10 * np.log10(augment.power(scene) + 1e-12)
        noise = augment.add_noise(np.zeros(LENGTH, np.float32), rng, -74)
        return noise + scene * np.float32(10 ** ((-84 - loud) / 20)), str(rng.choice(NOTHING))

    def sentence(self, rng: np.random.Generator) -> Sentence:
        """Mostly by kind."""
        if rng.random() < 0.6:
            return self.by_kind.draw(rng)
        return self.sentences[rng.integers(len(self.sentences))]

    def scene(self, sentence: Sentence, rng: np.random.Generator) -> Samples:
        """[S] at 32 kHz: the sentence's sounds, in its order."""
        scene = np.zeros(LENGTH, np.float32)
        wanted = 0.0
        edges = edges_of(sentence, rng) * LENGTH
        for group, low, high in zip(sentence.groups, edges[:-1], edges[1:], strict=True):
            for kind in group:
                behind = kind in sentence.background
                span = Span(0, LENGTH) if behind else Span.within(low, high, rng, least=LENGTH // 8)
                sound = self.sound(kind, span.size, rng)
                power = augment.power(sound)
                if power == 0:
                    continue
                wanted = wanted or power
                gain = np.sqrt(wanted / power) * 10 ** (rng.normal(-8 if behind else 0, 3) / 20)
                scene[span.start : span.start + len(sound)] += np.float32(gain) * sound
        return scene

    def sound(self, kind: str, longest: int, rng: np.random.Generator) -> Samples:
        """At most ``longest`` samples of a recording of ``kind``, sometimes again and again."""
        numbers = self.recordings[kind]
        samples = self.canvases.store.samples(numbers[int(rng.integers(len(numbers)))])
        first, last = active_span(samples, SAMPLE_RATE, 45)
        samples = samples[max(0, first - 1600) : last + 1600]
        if rng.random() < 0.4:
            samples = augment.change_speed(samples, float(np.exp(rng.uniform(-0.15, 0.15))))
        if len(samples) > longest:
            start = int(rng.integers(len(samples) - longest + 1))
            samples = samples[start : start + longest]
        elif rng.random() < 0.4:
            samples = np.resize(samples, longest)
        return augment.faded(samples, SAMPLE_RATE // 100)
