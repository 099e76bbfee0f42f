"""The table: every figure that is measured, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from training.datasets.esc50.read import ESC10
from training.datasets.recording import Samples
from training.evaluation import cases, changes, explaining, figures, files, judges
from training.evaluation.material import Canvas, Clip, Material, Pair
from training.evaluation.row import Case, Row

T = TypeVar("T")
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
    "softer": ("reference 6 dB softer: invents a sound", cases.softer),
}
"""Row -> its title, and how the reference is made of the input."""

CHANGES: dict[str, tuple[str, cases.Change]] = {
    "minus-40-db": ("at -40 dB", partial(cases.gain, db=-40)),
    "minus-20-db": ("at -20 dB", partial(cases.gain, db=-20)),
    "plus-20-db": ("at +20 dB, without clipping", partial(cases.gain, db=20)),
    "offset": ("with DC", cases.offset),
    "inverted": ("inverted", cases.inverted),
    "moved": ("moved by 0.1 s", cases.moved),
}
"""Row -> how a clip is changed, in words and in samples."""


def _on(
    part: Callable[[Material], Sequence[T]], make: Callable[[Sequence[T]], list[Case]]
) -> Callable[[Material], list[Case]]:
    """The cases that ``make`` makes of a part of the material."""
    return lambda material: make(part(material))


def _esc50(material: Material) -> list[Clip]:
    return material.esc50


def _esc10(material: Material) -> list[Clip]:
    return [clip for clip in material.esc50 if clip.kind in ESC10]


def _real(material: Material) -> list[Clip]:
    return material.real


def _all(material: Material) -> list[Clip]:
    return [*material.esc50, *material.real]


def _real_pairs(material: Material) -> list[Pair]:
    return material.real_pairs


def _scenes(material: Material) -> list[Canvas]:
    return material.scenes


def _of_pairs(
    prefix: str, titled: str, pairs: Callable[[Material], Sequence[Pair]]
) -> Iterator[Row[Any]]:
    for name, (condition, title) in MIXTURES.items():
        yield Row(
            prefix + name,
            titled + title,
            _on(pairs, partial(cases.mixtures, condition=condition)),
            judges.caption,
            figures.right,
        )


def _explanations() -> Iterator[Row[Any]]:
    told = "explanations of two real recordings: "
    for name, title, total in (
        ("sides", "each clip's sound is named as its own", explaining.recalled),
        ("swapped", "a clip's sound is named as the other's alone", explaining.swapped),
    ):
        cases_of = partial(explaining.pairs, detail="sentence")
        yield Row(
            f"explain-{name}", told + title, cases_of, explaining.sides, total, style="explain"
        )
    yield Row(
        "explain-true",
        told + "statements of a paragraph that the signals bear out",
        partial(explaining.pairs, detail="paragraph"),
        explaining.truth,
        figures.mean,
        style="explain",
    )
    yield Row(
        "explain-turns",
        told + "what is said of a clip stays with it when the clips are swapped",
        partial(explaining.pairs, detail="sentence", both=True),
        explaining.turns,
        figures.mean,
        style="explain",
    )


def _rows() -> Iterator[Row[Any]]:
    yield Row(
        "esc50",
        "ESC-50: captions naming the right sound",
        _on(_esc50, cases.singles),
        judges.caption,
        figures.right,
    )
    yield Row(
        "esc10",
        "the same, ESC-10 alone",
        _on(_esc10, cases.singles),
        judges.caption,
        figures.right,
    )
    yield from _of_pairs("", "ESC-50: ", lambda m: m.esc50_pairs)
    for name, (title, store) in SAME.items():
        yield Row(
            name,
            title,
            _on(_all, partial(cases.same, store=store)),
            judges.caption,
            figures.inventing,
        )
    yield Row(
        "real",
        "real recordings: the caption names a label",
        _on(_real, cases.singles),
        judges.caption,
        figures.right,
    )
    yield from _of_pairs("real-", "real recordings: ", _real_pairs)
    for name, (condition, title) in MIXTURES.items():
        yield Row(
            f"rule-{name}",
            f"rule on events, real recordings: {title}",
            _on(_real_pairs, partial(cases.mixtures_apart, condition=condition)),
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
            _on(_scenes, partial(cases.scenes, heard=heard)),
            judges.caption,
            figures.false,
        )
    yield Row(
        "events",
        "events: mAP against the teacher",
        cases.posteriors,
        judges.opinions,
        figures.precision,
    )
    yield Row(
        "timeline",
        "timeline: AUC of frames where the difference sounds, Same/Diff",
        _on(lambda m: m.events, cases.timelines),
        judges.moments,
        figures.mean,
    )
    for name, (title, change) in CHANGES.items():
        yield Row(
            name,
            f"the same clip {title}: keeps its sounds",
            _on(_real, partial(cases.changed, change=change)),
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
            _on(_all, cases.singles),
            judges.confidence(score),
            figures.separation,
        )
    yield from _explanations()
    yield Row(
        "encode",
        "the encoder's time for 10 s, ms",
        _on(_scenes, cases.timed),
        judges.encoding,
        figures.middle,
        clients=1,
    )
    yield from changes.rows()


ROWS: dict[str, Row[Any]] = {row.name: row for row in _rows()}
"""By name, in the order of the table."""
