"""What is measured with: recordings that nobody trained on, mixtures of two, and scenes of them.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soxr
from torch import Tensor
from tqdm import tqdm

from training.captions.naming import Labels, apart
from training.captions.sounds import ESC50
from training.datasets.esc50 import read as esc50
from training.datasets.recording import Samples, read_samples
from training.datasets.table import rows
from training.evaluation import files
from training.samples.edits import Edits
from training.scenes.algorithm1 import CONDITIONS, Addition, mix
from training.scenes.scene import Placed, Scene, active_span, matched

COLUMNS = ("file", "labels", "split", "teacher_top")
REAL_RATE = 32_000
"""Hertz that real recordings are mixed at; ESC-50's copies hold nothing above 8 kHz."""
LATEST = 0.5
"""Recordings are added within the first half, so that half of them at least is left."""
HEARD = 0.2
"""Probability from which on the teacher hears a kind."""
LEAST_S = 2.0
"""Shorter ones are not mixed: half of one would be nothing."""
CANVAS_S = 10
LOUDER_DB = (6.0, 12.0)
"""What is louder in a pair of edits is so by this much."""
EVENT_S = 4
"""Longest event whose moments are looked for in a canvas."""


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording, and what is heard in it."""

    name: str
    kind: str
    """ESC-50's category, or AudioSet's first label."""
    labels: Labels
    samples: Samples
    sample_rate: int
    path: Path
    heard: Labels = ()
    """What the teacher hears in it, beside what its source says."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, eq=False)
class Pair:
    """Two recordings of unrelated kinds to be mixed; ``place`` decides where the second begins."""

    original: Clip
    added: Clip
    another: Clip | None
    """One of the kind that was added, if there is one more."""
    place: int

    def files(self, condition: str) -> dict[str, bytes]:
        """Input and reference by Algorithm 1, the mixture being one and the same for all of them.

        ``inverse``, beside the paper's: the reference is the original.
        """
        other = self.another or self.added
        addition = Addition(self.added.kind, self.added.samples, lambda: other.samples)
        rng = np.random.default_rng(self.place)
        drawn = CONDITIONS.get(condition, CONDITIONS["same/same"])
        mixture = mix(self.original.samples, lambda: addition, drawn, rng, LATEST)
        reference = self.original.samples if condition == "inverse" else mixture.reference
        rate = self.original.sample_rate
        return {"input": files.wav(mixture.input, rate), "reference": files.wav(reference, rate)}


@dataclass(frozen=True, eq=False)
class Canvas:
    """Recordings laid out on ten seconds of silence."""

    name: str
    clips: tuple[Clip, ...]
    scene: Scene

    def stem(self, number: int) -> Samples:
        """[S]: one of them alone, where it lies."""
        return Scene(self.scene.length, self.scene.placed[number : number + 1]).mix()


class Material:
    """All that is at hand; each part is read when it is first asked for.

    Raises FileNotFoundError from each part whose data is missing.
    """

    def __init__(
        self, *, esc50: Path, folds: Sequence[int], sounds: Path, teacher: Path, seed: int
    ) -> None:
        """``seed`` decides what is mixed with what, and where."""
        self.seed = seed
        self.teacher = teacher
        self._esc50, self._folds, self._sounds = esc50, folds, sounds

    @cached_property
    def esc50(self) -> list[Clip]:
        """ESC-50's recordings."""
        return [
            Clip(one.name, one.kind, ESC50[one.kind], one.samples, files.SAMPLE_RATE,
                 self._esc50 / "audio" / one.name)
            for one in esc50.load(self._esc50, self._folds, files.SAMPLE_RATE)
        ]  # fmt: skip

    @cached_property
    def real(self) -> list[Clip]:
        """The validation recordings of ``sounds.csv``."""
        table = rows(self._sounds / "sounds.csv", COLUMNS, empty=["teacher_top"])
        found = [row for _, row in table if row["split"] == "validation"]

        def read(row: dict[str, str]) -> Clip:
            path, labels = self._sounds / row["file"], tuple(row["labels"].split(";"))
            samples = read_samples(path, REAL_RATE)
            heard = _heard(row["teacher_top"])
            return Clip(row["file"], labels[0], labels, samples, REAL_RATE, path, heard)

        with ThreadPoolExecutor(2) as pool:
            clips = pool.map(read, found)
            return list(tqdm(clips, total=len(found), desc="recordings", leave=False))

    @cached_property
    def esc50_pairs(self) -> list[Pair]:
        """Each ESC-50 recording once as the original."""
        return self._pairs(self.esc50)

    @cached_property
    def real_pairs(self) -> list[Pair]:
        """Each real recording that is long enough once as the original."""
        return self._pairs([clip for clip in self.real if clip.seconds >= LEAST_S])

    @cached_property
    def scenes(self) -> list[Canvas]:
        """Each real recording once, with none, one or two of other kinds."""
        rng = np.random.default_rng((self.seed, 1))
        return [self._scene(clip, rng) for clip in self.real]

    @cached_property
    def events(self) -> list[Canvas]:
        """Each pair as two events on a canvas, the first of ``EVENT_S`` at most."""
        rng = np.random.default_rng((self.seed, 2))
        return [
            _laid_out((pair.original, pair.added), (EVENT_S, CANVAS_S), (0.0, 0.0), rng)
            for pair in self.real_pairs
        ]

    @cached_property
    def edits(self) -> Edits:
        """Scenes of all of them, and what edits make of these."""
        return Edits(
            _Heard([*self.esc50, *self.real]),
            _untold,
            sample_rate=files.SAMPLE_RATE,
            seed=self.seed,
            change_db=LOUDER_DB,
        )

    def _pairs(self, clips: Sequence[Clip]) -> list[Pair]:
        rng = np.random.default_rng(self.seed)
        pairs = []
        for original in clips:
            added = _pick([one for one in clips if apart(one.labels, original.labels)], rng)
            others = [one for one in clips if one.kind == added.kind and one is not added]
            another = _pick(others, rng) if others else None
            pairs.append(Pair(original, added, another, int(rng.integers(2**31))))
        return pairs

    def _scene(self, first: Clip, rng: np.random.Generator) -> Canvas:
        clips = [first]
        for _ in range(int(rng.integers(3))):
            clips.append(
                _pick([o for o in self.real if all(apart(o.labels, c.labels) for c in clips)], rng)
            )
        levels = [0.0, *rng.uniform(-6, 6, len(clips) - 1)]
        return _laid_out(clips, [CANVAS_S] * len(clips), levels, rng)


@dataclass(frozen=True)
class _Heard:
    """Clips as what scenes of edits are made of."""

    recordings: Sequence[Clip]

    def samples(self, number: int) -> Samples:
        """[S] of one, at the rate of the pairs."""
        clip = self.recordings[number]
        if clip.sample_rate == files.SAMPLE_RATE:
            return clip.samples
        heard: Samples = soxr.resample(clip.samples, clip.sample_rate, files.SAMPLE_RATE)
        return heard


def _untold(sentence: str, style: str) -> Tensor:
    raise NotImplementedError(f"{sentence!r} in {style}: pairs are sent, not learned from")


def _heard(opinions: str) -> Labels:
    """The surer ones of the column ``teacher_top``, as "Speech 0.86; Clicking 0.49"."""
    pairs = (opinion.rsplit(" ", 1) for opinion in opinions.split("; ") if opinion)
    return tuple(label for label, probability in pairs if float(probability) >= HEARD)


def _pick(clips: Sequence[Clip], rng: np.random.Generator) -> Clip:
    return clips[int(rng.integers(len(clips)))]


def _laid_out(
    clips: Sequence[Clip],
    longest_s: Sequence[float],
    levels_db: Sequence[float],
    rng: np.random.Generator,
) -> Canvas:
    """The audible parts of ``clips`` at random places; levels are relative to the first's."""
    length = CANVAS_S * REAL_RATE
    placed: list[Placed] = []
    for clip, longest, above in zip(clips, longest_s, levels_db, strict=True):
        first, last = active_span(clip.samples, REAL_RATE)
        sound = clip.samples[first : min(last, first + int(longest * REAL_RATE), first + length)]
        item = Placed(clip.kind, int(rng.integers(length - len(sound) + 1)), sound)
        placed.append(matched(item, placed[0], above) if placed else item)
    name = " + ".join(clip.name for clip in clips)
    return Canvas(name, tuple(clips), Scene(length, tuple(placed)))
