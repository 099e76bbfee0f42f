"""What the captioner learns from: an input, mostly a reference, and the caption of the difference.

Every sample is a function of the seed and its index alone.
Shapes: S samples of the input, R of the reference, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from training.captions import grammar
from training.captions.tokenizer import tokenize
from training.datasets.clotho.read import RenderableCaption
from training.datasets.recording import Samples
from training.samples.collate import Sample
from training.scenes.algorithm1 import CONDITIONS, Mixture, draw_mixture
from training.scenes.augment import add_noise, level, power
from training.scenes.bank import SoundBank
from training.scenes.layouts import lay_out, random_layout
from training.scenes.scene import Placed, Scene, matched


@dataclass(frozen=True)
class Pair:
    """One sample before it is tokenized."""

    input: Samples
    reference: Samples | None
    caption: str


def _whole_tasks() -> dict[str, float]:
    return {
        "plain": 0.29,
        "difference": 0.34,
        "inverse": 0.16,
        "unrelated": 0.05,
        "nothing": 0.10,
        "silent input": 0.03,
        "silent reference": 0.03,
    }


def _all_conditions() -> dict[str, float]:
    return {
        "same/same": 0.30,
        "same/diff": 0.30,
        "diff/diff": 0.28,
        "multi/same": 0.06,
        "multi/diff": 0.06,
    }


@dataclass(frozen=True)
class Blend:
    """Shares of what a sample is. The paper's recipe is "plain" and "difference" alone."""

    tasks: dict[str, float] = field(default_factory=_whole_tasks)
    conditions: dict[str, float] = field(default_factory=_all_conditions)
    """Of the "difference" samples."""
    long_share: float = 0.15
    """Batches of 6 to 10 s; the others are 5 s."""


class CaptionPairs(Dataset[Sample]):
    """Samples of which those of one batch (``batch_size`` in a row) share their length."""

    def __init__(
        self,
        bank: SoundBank,
        tokenizer: PreTrainedTokenizerFast,
        *,
        batch_size: int,
        seed: int,
        human: Sequence[RenderableCaption] = (),
        blend: Blend | None = None,
    ) -> None:
        """``human`` captions are rendered with the bank's recordings, which must have their kinds.

        ``blend`` None is everything the bundled checkpoint learns from.
        """
        self.bank = bank
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.seed = seed
        self.human: dict[str, list[RenderableCaption]] = {}
        for caption in human:
            for kind in chain(*caption.layout.groups):
                self.human.setdefault(kind, []).append(caption)
        self.blend = blend or Blend()
        self.tasks: dict[str, Callable[[np.random.Generator, int], Pair]] = {
            "plain": self._plain,
            "difference": self._difference,
            "inverse": self._inverse,
            "unrelated": self._unrelated,
            "nothing": self._nothing,
            "silent input": self._silent_input,
            "silent reference": self._silent_reference,
        }

    def __getitem__(self, index: int) -> Sample:
        """``input`` [S], ``reference`` [R] or None, ``tokens`` [L]."""
        pair = self.pair(index)
        return {
            "input": torch.from_numpy(pair.input),
            "reference": None if pair.reference is None else torch.from_numpy(pair.reference),
            "tokens": tokenize(self.tokenizer, pair.caption),
        }

    def pair(self, index: int) -> Pair:
        """The sample ``index``, at a random level and with noise of its own on either side.

        Silence keeps the level that its caption speaks of.
        """
        length = self._length(index // self.batch_size)
        rng = np.random.default_rng((self.seed, 1, index))
        task = choose(self.blend.tasks, rng)
        pair = self.tasks[task](rng, length)
        if task == "silent input":
            return pair
        reference = None if pair.reference is None else level(pair.reference, rng)
        return Pair(level(pair.input, rng), reference, pair.caption)

    def _length(self, batch: int) -> int:
        rng = np.random.default_rng((self.seed, 0, batch))
        seconds = rng.uniform(6, 10) if rng.random() < self.blend.long_share else 5.0
        return int(seconds * self.bank.sample_rate)

    # Scenes -------------------------------------------------------------------------------------

    def _scene(self, rng: np.random.Generator, length: int) -> tuple[Scene, str]:
        choice = rng.random()
        if choice < 0.5:
            scene = Scene(length, (self._recording(rng, length),))
        elif choice < 0.68:
            first = self._recording(rng, length)
            second = self._recording(rng, length, avoid=(first.kind,))
            scene = Scene(length, (first, matched(second, first, rng.normal(0, 3))))
        elif choice < 0.84 and self.human:
            # By kind first: half of the human sentences speak of birds or of rain.
            told = list(self.human.values())[rng.integers(len(self.human))]
            caption = told[rng.integers(len(told))]
            return lay_out(self.bank, caption.layout, rng, length), caption.caption
        else:
            scene = lay_out(self.bank, random_layout(self.bank, rng), rng, length)
        return scene, self._say(scene, rng)

    def _say(self, scene: Scene, rng: np.random.Generator) -> str:
        return grammar.captions(scene.events(self.bank.sample_rate), rng, count=1)[0]

    def _recording(
        self, rng: np.random.Generator, length: int, avoid: Sequence[str] = ()
    ) -> Placed:
        """A whole recording: half the time as it is, else moved about, faster or slower."""
        kind, samples = self.bank.draw(rng, avoid=avoid)
        if rng.random() < 0.5:
            return Placed(kind, 0, samples[:length])
        return Placed(kind, 0, self.bank.window(self.bank.vary(samples, rng), rng, length))

    # Tasks --------------------------------------------------------------------------------------

    def _plain(self, rng: np.random.Generator, length: int) -> Pair:
        scene, caption = self._scene(rng, length)
        return Pair(scene.mix(), None, caption)

    def _difference(self, rng: np.random.Generator, length: int) -> Pair:
        """Algorithm 1: the caption of the original scene (equation 13)."""
        scene, caption = self._scene(rng, length)
        condition = choose(self.blend.conditions, rng)
        mixture = self._mixture(scene, rng, condition, choose_latest(rng))
        return Pair(mixture.input, mixture.reference, caption)

    def _inverse(self, rng: np.random.Generator, length: int) -> Pair:
        """The mixture with the original as reference: what was added (Table 3, case 4)."""
        scene, _ = self._scene(rng, length)
        original = scene.mix()
        added = Scene(length, ())
        while power(added.mix()) < 0.1 * power(original) or not added.placed:
            mixture = self._mixture(scene, rng, latest=0.5)
            added = mixture.added
        return Pair(mixture.input, original, self._say(added, rng))

    def _mixture(
        self,
        scene: Scene,
        rng: np.random.Generator,
        condition: str = "same/same",
        latest: float = 1.0,
    ) -> Mixture:
        present = [sound.kind for sound in scene.placed]
        return draw_mixture(scene.mix(), self.bank, present, CONDITIONS[condition], rng, latest)

    def _unrelated(self, rng: np.random.Generator, length: int) -> Pair:
        """A reference that has nothing of the input takes nothing away."""
        scene, caption = self._scene(rng, length)
        _, other = self.bank.draw(rng, avoid=[sound.kind for sound in scene.placed])
        return Pair(scene.mix(), other, caption)

    def _nothing(self, rng: np.random.Generator, length: int) -> Pair:
        """A reference that holds all the input holds: itself, itself moved, or more."""
        scene, _ = self._scene(rng, length)
        samples = scene.mix()
        choice = rng.random()
        if choice < 0.45:
            reference = samples
        elif choice < 0.60:
            reference = np.roll(samples, int(rng.integers(len(samples))))
        elif choice < 0.92:
            reference = self._mixture(scene, rng).input
        else:
            kind, samples = self.bank.draw(rng)
            reference = self.bank.draw(rng, kind=kind)[1]
        return Pair(samples[:length], reference, self._no_difference(rng))

    def _silent_input(self, rng: np.random.Generator, length: int) -> Pair:
        faint = rng.random() < 0.5
        samples = np.zeros(length, np.float32)
        if faint:
            samples = add_noise(samples, rng, rng.uniform(-80, -60))
        if rng.random() < 0.3:
            return Pair(samples, self._scene(rng, length)[0].mix(), self._no_difference(rng))
        return Pair(samples, None, grammar.silence_captions(rng, 1, near=faint)[0])

    def _silent_reference(self, rng: np.random.Generator, length: int) -> Pair:
        scene, caption = self._scene(rng, length)
        return Pair(scene.mix(), np.zeros(length, np.float32), caption)

    def _no_difference(self, rng: np.random.Generator) -> str:
        return grammar.no_difference_captions(rng, 1)[0]


def choose(shares: dict[str, float], rng: np.random.Generator) -> str:
    """A key, by its share."""
    names = list(shares)
    weights = np.array(list(shares.values()))
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def choose_latest(rng: np.random.Generator) -> float:
    """Where Algorithm 1 may add: anywhere, as in the paper, or so early that much is heard."""
    return float(rng.choice([0.0, 0.5, 1.0]))
