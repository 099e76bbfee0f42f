"""The table: every figure that is measured, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from training.captions.kinds import ESC10
from training.datasets.recording import Samples
from training.evaluation import figures, files, judges
from training.evaluation.material import REAL_RATE, Canvas, Clip, Material, Pair
from training.evaluation.row import Case, Files, Row
from training.evaluation.teacher import Teacher

SHIFT_S = 0.1
MIXTURES = {
    "aligned": ("same/same", "mixture minus aligned reference names what stays"),
    "shifted": ("same/diff", "reference shifted in time: names what stays"),
    "other-clip": ("diff/diff", "other clip of the kind as reference: names what stays"),
    "inverse": ("inverse", "mixture minus the original names what was added"),
}
"""Row -> the pair's condition, and its title."""

SAME: dict[str, tuple[str, Callable[[Samples, int], bytes]]] = {
    "equal": ("input = reference: invents a sound", files.wav),
    "mp3": ("reference re-encoded as MP3: invents a sound", files.mp3),
    "opus": ("reference re-encoded as Opus: invents a sound", files.opus),
    "softer": ("reference 6 dB softer: invents a sound", lambda x, rate: files.wav(x / 2, rate)),
}
"""Row -> its title, and how the reference is made of the input."""

CHANGES: dict[str, tuple[str, Callable[[Samples, int], Samples]]] = {
    "minus-40-db": ("at -40 dB", lambda x, _: x / 100),
    "minus-20-db": ("at -20 dB", lambda x, _: x / 10),
    "plus-20-db": ("at +20 dB, without clipping", lambda x, _: x * 10),
    "offset": ("with DC", lambda x, _: x * np.float32(0.9) + np.float32(0.1)),
    "inverted": ("inverted", lambda x, _: -x),
    "moved": ("moved by 0.1 s", lambda x, rate: np.pad(x, (int(SHIFT_S * rate), 0))),
}
"""Row -> how a clip is changed, in words and in samples."""


def singles(clips: Sequence[Clip]) -> list[Case]:
    """Each file as it is stored."""
    return [
        Case(clip.name, partial(_stored, clip), (clip.labels,), kind=clip.kind) for clip in clips
    ]


def mixtures(pairs: Sequence[Pair], condition: str) -> list[Case]:
    """The difference of each pair."""
    return [_mixture(pair, condition, lambda p=pair: [p.files(condition)]) for pair in _fit(
        pairs, condition)]  # fmt: skip


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


def changed(clips: Sequence[Clip], change: Callable[[Samples, int], Samples]) -> list[Case]:
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


def _of_pairs(
    prefix: str, titled: str, pairs: Callable[[Material], Sequence[Pair]]
) -> Iterator[Row[Any]]:
    for name, (condition, title) in MIXTURES.items():
        yield Row(
            prefix + name,
            titled + title,
            lambda m, c=condition: mixtures(pairs(m), c),
            judges.caption,
            figures.right,
        )


def _rows() -> Iterator[Row[Any]]:
    yield Row(
        "esc50",
        "ESC-50: captions naming the right sound",
        lambda m: singles(m.esc50),
        judges.caption,
        figures.right,
    )
    yield Row(
        "esc10",
        "the same, ESC-10 alone",
        lambda m: singles([clip for clip in m.esc50 if clip.kind in ESC10]),
        judges.caption,
        figures.right,
    )
    yield from _of_pairs("", "ESC-50: ", lambda m: m.esc50_pairs)
    for name, (title, store) in SAME.items():
        yield Row(
            name,
            title,
            lambda m, s=store: same([*m.esc50, *m.real], s),
            judges.caption,
            figures.inventing,
        )
    yield Row(
        "real",
        "real recordings: the caption names a label",
        lambda m: singles(m.real),
        judges.caption,
        figures.right,
    )
    yield from _of_pairs("real-", "real recordings: ", lambda m: m.real_pairs)
    for name, (condition, title) in MIXTURES.items():
        yield Row(
            f"rule-{name}",
            f"rule on events, real recordings: {title}",
            lambda m, c=condition: mixtures_apart(m.real_pairs, c),
            judges.rule,
            figures.right,
        )
    for heard, name, title in (
        (False, "false", "scenes: sounds named that are not there, per caption"),
        (True, "false-unheard", "the same, less those that the teacher hears, too"),
    ):
        yield Row(
            name,
            title,
            lambda m, h=heard: scenes(m.scenes, h),
            judges.caption,
            figures.false,
        )
    yield Row(
        "events",
        "events: mAP against the teacher",
        posteriors,
        judges.opinions,
        figures.precision,
    )
    yield Row(
        "timeline",
        "timeline: AUC of frames where the difference sounds, Same/Diff",
        lambda m: timelines(m.events),
        judges.moments,
        figures.mean,
    )
    for name, (title, change) in CHANGES.items():
        yield Row(
            name,
            f"the same clip {title}: keeps its sounds",
            lambda m, c=change: changed(m.real, c),
            judges.keeps,
            figures.share,
        )
    for name, title, score in (
        ("score", "score: AUC of right against wrong captions", judges.decoder_score),
        ("sounds-score", "the same, by the score of the sounds named", judges.sounds_score),
    ):
        yield Row(
            name,
            title,
            lambda m: singles([*m.esc50, *m.real]),
            judges.confidence(score),
            figures.separation,
        )
    yield Row(
        "encode",
        "the encoder's time for 10 s, ms",
        lambda m: timed(m.scenes),
        judges.encoding,
        figures.middle,
        clients=1,
    )


ROWS: dict[str, Row[Any]] = {row.name: row for row in _rows()}
"""By name, in the order of the table."""
