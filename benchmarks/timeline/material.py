"""Long recordings made of known sounds at known times.

Shapes: S samples.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.scenes.synthetic import SOUNDS, synthesize

RATE = 16_000
GAP_S = (3.0, 9.0)
"""Nothing but the floor, between two sounds."""
FLOOR = 1e-3
"""Of noise, relative to full scale; what is no louder at a sound's ends is not of it."""

Samples = NDArray[np.float32]
Place = tuple[float, float]
"""From when to when, in seconds."""


def made(rng: np.random.Generator) -> Iterator[Samples]:
    """Sounds made in code, for ever."""
    while True:
        yield synthesize(str(rng.choice(sorted(SOUNDS))), rng, RATE)


def esc50(folder: Path, rng: np.random.Generator, fold: str = "5") -> Iterator[Samples]:
    """The recordings of a fold that no training saw, in random orders, for ever."""
    with (folder / "meta" / "esc50.csv").open(newline="") as table:
        names = [row["filename"] for row in csv.DictReader(table) if row["fold"] == fold]
    while True:
        for name in rng.permutation(names):
            samples, rate = soundfile.read(folder / "audio" / name, dtype="float32")
            yield soxr.resample(samples, rate, RATE, quality="VHQ")


def write(
    path: Path, seconds: float, sounds: Iterator[Samples], rng: np.random.Generator
) -> list[Place]:
    """A recording, sound by sound, and where they are; no louder than full scale."""
    places: list[Place] = []
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:

        def lay(samples: Samples) -> None:
            noise = FLOOR * rng.standard_normal(len(samples))
            file.write(np.clip(samples + noise, -1, 1))

        def silence(duration: float) -> None:
            lay(np.zeros(round(duration * RATE), np.float32))

        while True:
            sound = trimmed(next(sounds))
            gap = rng.uniform(*GAP_S)
            if file.tell() / RATE + gap + len(sound) / RATE + GAP_S[0] > seconds:
                silence(seconds - file.tell() / RATE)
                return places
            silence(gap)
            start = file.tell() / RATE
            lay(sound)
            places.append((start, file.tell() / RATE))


def trimmed(samples: Samples) -> Samples:
    """[S] without what is as soft as the floor at either end; all of it if it all is."""
    loud = np.flatnonzero(np.abs(samples) > FLOOR)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def f1(found: Sequence[Place], wanted: Sequence[Place], collar_s: float = 1.0) -> float:
    """Events that begin and end where they should, give or take the collar; each is met once."""
    left = [*found]
    for start, end in wanted:
        for one in left:
            if abs(one[0] - start) <= collar_s and abs(one[1] - end) <= collar_s:
                left.remove(one)
                break
    met = len(found) - len(left)
    return 2 * met / (len(found) + len(wanted)) if found or wanted else 1.0
