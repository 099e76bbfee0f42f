"""The cases of the rows: what is sent of each clip, pair or scene.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from training.datasets.recording import Samples
from training.evaluation import files
from training.evaluation.material import REAL_RATE, Canvas, Clip, Material, Pair
from training.evaluation.row import Case, Files
from training.evaluation.teacher import Teacher

Change = Callable[[Samples, int], Samples]
"""[S] at a rate -> the same sound in another way."""
SHIFT_S = 0.1
OFFSET = 0.1


def gain(samples: Samples, _: int, db: float) -> Samples:
    """Louder, or softer."""
    return samples * np.float32(10 ** (db / 20))


def offset(samples: Samples, _: int) -> Samples:
    """With a constant added, and softer by as much, so that nothing clips."""
    return samples * np.float32(1 - OFFSET) + np.float32(OFFSET)


def inverted(samples: Samples, _: int) -> Samples:
    """With the other sign."""
    return -samples


def moved(samples: Samples, sample_rate: int) -> Samples:
    """After a moment of nothing."""
    return np.pad(samples, (int(SHIFT_S * sample_rate), 0))


def softer(samples: Samples, sample_rate: int) -> bytes:
    """A WAV file, 6 dB softer."""
    return files.wav(gain(samples, sample_rate, -6), sample_rate)


def singles(clips: Sequence[Clip]) -> list[Case]:
    """Each file as it is stored."""
    return [
        Case(clip.name, partial(_stored, clip), (clip.labels,), kind=clip.kind) for clip in clips
    ]


def mixtures(pairs: Sequence[Pair], condition: str) -> list[Case]:
    """The difference of each pair."""

    def make(pair: Pair) -> list[Files]:
        return [pair.files(condition)]

    return [_mixture(pair, condition, partial(make, pair)) for pair in _fit(pairs, condition)]


def mixtures_apart(pairs: Sequence[Pair], condition: str) -> list[Case]:
    """A caption of each mixture and one of its reference: all that the rule on events knows."""

    def make(pair: Pair) -> list[Files]:
        return [{"file": file} for file in pair.files(condition).values()]

    return [_mixture(pair, condition, partial(make, pair)) for pair in _fit(pairs, condition)]


def same(clips: Sequence[Clip], store: Callable[[Samples, int], bytes]) -> list[Case]:
    """Each clip against itself, stored in another way."""

    def make(clip: Clip) -> list[Files]:
        files_of = (files.wav, store)
        input_, reference = (one(clip.samples, clip.sample_rate) for one in files_of)
        return [{"input": input_, "reference": reference}]

    return [Case(clip.name, partial(make, clip)) for clip in clips]


def changed(clips: Sequence[Clip], change: Change) -> list[Case]:
    """Each clip, and what the change makes of it; softer beforehand where that would clip."""

    def make(clip: Clip) -> list[Files]:
        before, rate = clip.samples, clip.sample_rate
        peak = float(np.abs(change(before, rate)).max(initial=0.0))
        if peak > 1:
            before = before / np.float32(peak)
        return [{"file": files.exact(one, rate)} for one in (before, change(before, rate))]

    return [Case(clip.name, partial(make, clip)) for clip in clips]


def scenes(canvases: Sequence[Canvas], heard: bool) -> list[Case]:
    """A caption of each scene; ``heard``: what the teacher hears in it is there, too."""

    def make(canvas: Canvas) -> list[Files]:
        return [{"file": files.wav(canvas.scene.mix(), REAL_RATE)}]

    return [
        Case(
            canvas.name,
            partial(make, canvas),
            tuple(clip.labels for clip in canvas.clips),
            tuple((label,) for clip in canvas.clips for label in clip.heard if heard),
        )
        for canvas in canvases
    ]


def timelines(canvases: Sequence[Canvas]) -> list[Case]:
    """Two events against the second at its own beginning (Same/Diff): when is the first?"""

    def make(canvas: Canvas) -> list[Files]:
        mixture, reference = canvas.scene.mix(), canvas.scene.placed[1].samples
        pair = (files.wav(samples, REAL_RATE) for samples in (mixture, reference))
        return [dict(zip(("input", "reference"), pair, strict=True))]

    return [
        Case(canvas.name, partial(make, canvas), truth=partial(canvas.stem, 0))
        for canvas in canvases
    ]


def posteriors(material: Material) -> list[Case]:
    """Each real recording, and what the teacher says of it."""
    teacher = Teacher(material.teacher)
    return [
        Case(clip.name, partial(_stored, clip), truth=partial(teacher, clip.samples))
        for clip in material.real
    ]


def timed(canvases: Sequence[Canvas], count: int = 50) -> list[Case]:
    """Scenes played backwards, so that no service has heard them before."""

    def make(canvas: Canvas) -> list[Files]:
        return [{"file": files.wav(canvas.scene.mix()[::-1], REAL_RATE)}]

    return [Case(canvas.name, partial(make, canvas)) for canvas in canvases[:count]]


def _stored(clip: Clip) -> list[Files]:
    return [{"file": clip.path.read_bytes()}]


def _fit(pairs: Sequence[Pair], condition: str) -> list[Pair]:
    return [pair for pair in pairs if pair.another or condition != "diff/diff"]


def _mixture(pair: Pair, condition: str, make: Callable[[], list[Files]]) -> Case:
    stays, goes = pair.original, pair.added
    if condition == "inverse":
        stays, goes = goes, stays
    name = f"{pair.original.name} + {pair.added.name}"
    return Case(name, make, (stays.labels,), (goes.labels,), stays.kind, goes.kind)
