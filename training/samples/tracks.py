"""Tracks: what the teacher says of each frame of each recording, and which are of which kind.

Shapes: T frames, K kinds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.captions.ontology import AUDIOSET, expand
from training.samples.teacher import Teacher
from training.scenes.store import Store

Track = NDArray[np.float32]
"""[T, K]: probabilities."""
KINDS: Mapping[str, int] = {name: number for number, name in enumerate(AUDIOSET)}
"""The kinds of a track, in order."""
SURE = 0.4
"""A kind that is as likely in some frame is heard, whatever a data set says."""
LIKELY = 0.05
"""A kind that a data set says is heard is, if it is as likely in some frame."""
CLEAR = 0.2
"""So likely is a kind where its track stands for it: what is hardly heard is not to be told."""

FILE = "tracks.npz"


class Tracks:
    """Real probabilities of recordings, by the kinds that are heard in them."""

    def __init__(
        self,
        tracks: Sequence[NDArray[np.float16]],
        numbers: Sequence[int],
        labels: Sequence[Sequence[str]],
    ) -> None:
        """``tracks`` [T, K], the recordings' numbers, and what each is said to hold."""
        self.tracks = tracks
        self.by_kind: dict[str, list[int]] = {}
        self.recordings: dict[str, list[int]] = {}
        """Kind -> the numbers of the recordings that are of it, by their label.

        Labels that the teacher does not know are kinds here, too.
        """
        for place, (track, said) in enumerate(zip(tracks, labels, strict=True)):
            peak = track.max(axis=0)
            sure = {AUDIOSET[k] for k in np.flatnonzero(peak > SURE).tolist()}
            likely = {kind for kind in certain(*said) if peak[KINDS[kind]] > LIKELY}
            clear = {kind for kind in likely if peak[KINDS[kind]] > CLEAR}
            for kind in sorted(sure | clear, key=KINDS.__getitem__):
                self.by_kind.setdefault(kind, []).append(place)
            others = {label for label in said if label not in KINDS}
            for kind in [*sorted(likely, key=KINDS.__getitem__), *sorted(others)]:
                self.recordings.setdefault(kind, []).append(numbers[place])

    def of(self, kind: str, rng: np.random.Generator) -> Track | None:
        """A recording's track in which ``kind`` is heard; None where there is none."""
        places = self.by_kind.get(kind)
        if not places:
            return None
        return self.tracks[places[int(rng.integers(len(places)))]].astype(np.float32)

    def any(self, rng: np.random.Generator) -> Track:
        """Any recording's track."""
        return self.tracks[int(rng.integers(len(self.tracks)))].astype(np.float32)


def certain(*labels: str) -> list[str]:
    """Those of AudioSet's kinds that are heard for certain where all of ``labels`` are."""
    above = [kind for label in labels for kind in (label, *expand(label))]
    return [kind for kind in dict.fromkeys(above) if kind in KINDS]


def build(folder: Path, store: Store, numbers: Sequence[int], teacher: Teacher) -> Tracks:
    """Let the teacher hear the recordings that ``numbers`` name, unless ``folder`` holds it.

    A recording too short for a frame has no track.
    """
    path = folder / FILE
    least = teacher.encoder.min_samples
    numbers = [number for number in numbers if store.recordings[number].size >= least]
    stamp = _stamp(store, numbers, teacher)
    if not path.is_file() or str(np.load(path)["stamp"]) != stamp:
        bar = tqdm(numbers, desc="teacher", leave=False)
        tracks = [teacher.track(store.samples(number)).numpy() for number in bar]
        half = folder / f".{FILE}"
        counts = [len(track) for track in tracks]
        np.savez(half, stamp=np.array(stamp), counts=counts, tracks=np.concatenate(tracks))
        half.replace(path)
    with np.load(path) as kept:
        ends = np.cumsum(kept["counts"])[:-1]
        tracks = np.split(kept["tracks"], ends)
    return Tracks(tracks, numbers, [store.recordings[number].labels for number in numbers])


def _stamp(store: Store, numbers: Sequence[int], teacher: Teacher) -> str:
    """Of what decides the tracks."""
    digest = hashlib.sha256(repr([(n, store.recordings[n].name) for n in numbers]).encode())
    for tensor in teacher.network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
