"""Tracks: what the teacher says of each frame of each recording, and which are of which kind.

Shapes: T frames, K kinds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.encoders.efficientat import FRAME
from training.captions.ontology import AUDIOSET, EVENTS, expand
from training.samples.teacher import Teacher
from training.scenes.store import Store

Track = NDArray[np.float32]
"""[T, K]: probabilities."""
KINDS: Mapping[str, int] = {name: number for number, name in enumerate(EVENTS)}
"""The kinds of a track, in order."""
SURE = 0.4
"""A kind that is as likely in some frame is heard beside what a data set says."""
CLEAR = 0.3
"""A kind that a data set says is heard is, if it is as likely in some frame: what is hardly heard
is not to be told."""
CHOICE = 8
LOUDEST = 0.8
"""As likely is a kind that the teacher does not know, where a recording of it is loudest."""

FILE = "tracks.npz"


class Tracks:
    """Real probabilities of recordings, by the kinds that are heard in them."""

    def __init__(
        self,
        tracks: Sequence[NDArray[np.float16]],
        numbers: Sequence[int],
        labels: Sequence[Sequence[str]],
        alone: Collection[int] = (),
    ) -> None:
        """``tracks`` [T, K], the recordings' numbers, and what each is said to hold.

        ``alone``: the numbers of those that hold nothing else, whatever the teacher is sure of.
        """
        self.tracks = tracks
        self.numbers = numbers
        self.peaks = [track.max(axis=0).astype(np.float32) for track in tracks]
        self.by_kind: dict[str, list[int]] = {}
        self.recordings: dict[str, list[int]] = {}
        """Kind -> the numbers of the recordings that are of it, by their label."""
        for place, (peak, said) in enumerate(zip(self.peaks, labels, strict=True)):
            sure = {EVENTS[k] for k in np.flatnonzero(peak > SURE).tolist()}
            if numbers[place] in alone:
                sure.clear()
            clear = {kind for kind in certain(*said) if peak[KINDS[kind]] > CLEAR}
            for kind in sorted(sure | clear, key=KINDS.__getitem__):
                self.by_kind.setdefault(kind, []).append(place)
            for kind in sorted(clear, key=KINDS.__getitem__):
                self.recordings.setdefault(kind, []).append(numbers[place])

    def numbered(self) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Recordings' numbers and tracks [T, K]."""
        return zip(self.numbers, self.tracks, strict=True)

    def of(self, kind: str, told: NDArray[np.bool_], rng: np.random.Generator) -> Track | None:
        """A recording's track in which ``kind`` is heard; None where there is none.

        Of up to ``CHOICE`` it is the one that holds least of what is not ``told`` [K]: an engine is
        rather not a chainsaw's, unless a chainsaw is spoken of.
        """
        places = self.by_kind.get(kind)
        if not places:
            return None
        some = [places[n] for n in rng.integers(len(places), size=rng.integers(1, CHOICE + 1))]
        untold = [np.square(self.peaks[place][~told]).sum() for place in some]
        track: Track = self.tracks[some[int(np.argmin(untold))]].astype(np.float32)
        return track

    def any(self, rng: np.random.Generator) -> Track:
        """Any recording's track."""
        return self.tracks[int(rng.integers(len(self.tracks)))].astype(np.float32)


def certain(*labels: str) -> list[str]:
    """Those of a track's kinds that are heard for certain where all of ``labels`` are."""
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
        tracks = [_track(store, number, teacher) for number in bar]
        half = folder / f".{FILE}"
        counts = [len(track) for track in tracks]
        np.savez(half, stamp=np.array(stamp), counts=counts, tracks=np.concatenate(tracks))
        half.replace(path)
    with np.load(path) as kept:
        ends = np.cumsum(kept["counts"])[:-1]
        tracks = np.split(kept["tracks"], ends)
    labels = [store.recordings[number].labels for number in numbers]
    alone = {number for number in numbers if store.recordings[number].group.startswith("esc50-")}
    return Tracks(tracks, numbers, labels, alone)


def _track(store: Store, number: int, teacher: Teacher) -> NDArray[np.float16]:
    """The teacher's; what is in a recording that it does not know is heard as it is loud."""
    samples = store.samples(number)
    track = teacher.track(samples).numpy()
    for kind in set(certain(*store.recordings[number].labels)).difference(AUDIOSET):
        whole = np.resize(np.pad(samples, (0, FRAME)), len(track) * FRAME)
        loud = np.sqrt(np.square(whole.reshape(-1, FRAME)).mean(axis=1))
        track[:, KINDS[kind]] = LOUDEST * loud / max(loud.max(), 1e-9)
    return track


def _stamp(store: Store, numbers: Sequence[int], teacher: Teacher) -> str:
    """Of what decides the tracks."""
    names = [(n, store.recordings[n].name) for n in numbers]
    digest = hashlib.sha256(repr((names, EVENTS[len(AUDIOSET) :])).encode())
    for tensor in teacher.network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
