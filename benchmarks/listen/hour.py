"""An hour of background with recordings in it, as fast as the model goes.

Shapes: S samples.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.listen.backgrounds import HOUR_S, LEVEL_DB, STREET, hum, street
from engine.captioner import Captioner
from engine.engine import Engine
from engine.listener import Event, Listener
from engine.observer import Unobserved
from engine.settings import BACKGROUND_S, EngineSettings
from model.types import GenerationOptions
from training.captions.naming import Naming, named
from training.captions.sounds import ESC50
from training.datasets.esc50.read import load
from training.datasets.recording import Recording, Samples
from training.scenes.synthetic import SOUNDS, synthesize

INSERTED = 30
ECHO_S = 6.4
"""So long after a sound's end windows may still hold it."""
AUDIBLE_S = 0.05


@dataclass(frozen=True)
class Inserted:
    """A recording in the background."""

    kind: str
    labels: tuple[str, ...]
    """That name it; none where the kind is not ESC-50's."""
    samples: Samples
    start_s: float

    def span(self, sample_rate: int) -> tuple[float, float]:
        """From when to when it is louder than the background, in seconds of the stream."""
        block = round(AUDIBLE_S * sample_rate)
        blocks = self.samples[: len(self.samples) // block * block].reshape(-1, block)
        loud = np.flatnonzero((blocks**2).mean(axis=1) > 10 ** (LEVEL_DB / 10))
        first, last = (loud[0], loud[-1] + 1) if len(loud) else (0, len(blocks))
        return self.start_s + first * AUDIBLE_S, self.start_s + last * AUDIBLE_S


def insert(
    recordings: Sequence[tuple[str, Samples]], sample_rate: int, above_db: float, seed: int
) -> list[Inserted]:
    """As many as there are, spread over the hour.

    The loudest half second of each is ``above_db`` above the background.
    """
    rng = np.random.default_rng(seed)
    apart_s = HOUR_S / len(recordings)
    found = []
    for number, (kind, samples) in enumerate(recordings):
        half = np.ones(sample_rate // 2, np.float32) / (sample_rate // 2)
        loudest = np.sqrt(np.convolve(samples**2, half, "valid").max())
        level = 10 ** ((LEVEL_DB + above_db) / 20) / max(loudest, 1e-6)
        start_s = number * apart_s + rng.uniform(apart_s / 2, apart_s - 10)
        scaled = (samples * level).astype(np.float32)
        found.append(Inserted(kind, ESC50.get(kind, ()), scaled, start_s))
    return found


def laid(
    background: Iterable[Samples], inserted: Sequence[Inserted], sample_rate: int
) -> Iterator[Samples]:
    """The background's pieces with the recordings: [S] each."""
    start = 0
    for piece in background:
        mixed = piece.astype(np.float64)
        for one in inserted:
            at = round(one.start_s * sample_rate) - start
            first, last = max(at, 0), min(at + len(one.samples), len(piece))
            if first < last:
                mixed[first:last] += one.samples[first - at : last - at]
        start += len(piece)
        yield mixed.clip(-1, 1).astype(np.float32)


def choose(
    recordings: Sequence[Recording], sample_rate: int, seed: int
) -> list[tuple[str, Samples]]:
    """Thirty, of as many kinds as there are; without ``recordings``, sounds made in code."""
    rng = np.random.default_rng(seed)
    if not recordings:
        kinds = rng.permutation([*SOUNDS] * INSERTED)[:INSERTED]
        return [(kind, synthesize(kind, rng, sample_rate)) for kind in kinds]
    kinds = rng.permutation(sorted({one.kind for one in recordings}))[:INSERTED]
    by_kind = [[one for one in recordings if one.kind == kind] for kind in kinds]
    return [(one[0].kind, one[rng.integers(len(one))].samples) for one in by_kind]


async def report(
    model: Path,
    esc50: Path | None,
    folds: Sequence[int],
    above: Sequence[float],
    seed: int,
    *,
    in_street: bool,
    each: bool,
) -> AsyncIterator[str]:
    """A row for each level of the recordings above the background, a hum or a street."""
    captioner = Captioner.from_dir(model)
    engine = Engine(EngineSettings(decode_workers=1), captioner, Unobserved())
    engine.start()
    rate = captioner.sample_rate
    source = "sounds made in code" if esc50 is None else f"ESC-50, folds {[*folds]}"
    place = "a street" if in_street else "hum"
    yield f"{INSERTED} of {source}, seed {seed}, in an hour of {place} at {LEVEL_DB:g} dB"
    yield ""
    yield (
        "| above it | told | told again | false | named right | late, median | late, p90 | "
        "late, most | times real time |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    known = [] if esc50 is None else load(esc50, folds, rate)
    recordings = choose(
        [one for one in known if not in_street or one.kind not in STREET], rate, seed
    )
    for above_db in above:
        inserted = insert(recordings, rate, above_db, seed)
        background = street(known, rate, seed) if in_street else hum(rate, seed)
        listener = Listener(engine, BACKGROUND_S, GenerationOptions())
        began = time.monotonic()
        events: list[tuple[float, Event]] = []
        fed = 0
        for piece in laid(background, inserted, rate):
            fed += len(piece)
            async for event in listener.hear(piece, fed / rate, time.monotonic()):
                events.append((fed / rate, event))
        speed = HOUR_S / (time.monotonic() - began)
        row, details = _judged(inserted, events, rate)
        yield f"| {above_db:g} dB | {row} | {speed:.0f} |"
        if each:
            for line in details:
                yield line
    with suppress(Exception):
        await engine.stop()


def _judged(
    inserted: Sequence[Inserted], events: Sequence[tuple[float, Event]], rate: int
) -> tuple[str, list[str]]:
    """The row's figures, and a line for each event and each recording that is not told."""
    spans = [one.span(rate) for one in inserted]
    first: dict[int, tuple[float, Event]] = {}
    again, false, lines = 0, 0, []
    for at_s, event in events:
        of = [n for n, (on, off) in enumerate(spans) if on <= at_s <= off + ECHO_S]
        what = inserted[of[0]].kind if of else "nothing"
        lines.append(f"{at_s:7.1f} s, {what}: {event.caption.text} {event.to_json()['sounds']}")
        if not of:
            false += 1
        elif of[0] in first:
            again += 1
        else:
            first[of[0]] = at_s, event
    lines += [f"not told: {one.kind}" for n, one in enumerate(inserted) if n not in first]
    late = [at_s - spans[n][0] for n, (at_s, _) in first.items()] or [float("nan")]
    right = sum(
        Naming(named(event.caption.text), (inserted[n].labels,)).right
        for n, (_, event) in first.items()
    )
    return (
        f"{len(first)} of {len(inserted)} | {again} | {false} | {right} | "
        f"{np.median(late):.1f} s | {np.quantile(late, 0.9):.1f} s | {max(late):.1f} s"
    ), lines
