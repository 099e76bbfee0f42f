"""Every recording at hand, decoded once and kept in one memory-mapped file.

Shapes: S samples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.audio import DecodeLimits, decode
from training.captions.sounds import ESC50
from training.datasets.esc50 import read as esc50
from training.datasets.recording import Samples
from training.datasets.sounds import read as sounds

SAMPLE_RATE = 32_000
"""Hertz: what the teacher hears; the student's is half of it."""
TABLE, SAMPLES, STAMP = "recordings.json", "samples.int16", "sources.sha256"


@dataclass(frozen=True)
class Source:
    """A file to take in."""

    path: Path
    name: str
    """Unique among all."""
    labels: tuple[str, ...]
    """AudioSet's names of what is heard, the first the most specific; empty: not known."""
    group: str
    """Recordings of one group share an origin: a data set's fold, a longer recording."""


@dataclass(frozen=True)
class Recording:
    """A recording of the store."""

    name: str
    labels: tuple[str, ...]
    group: str
    start: int
    size: int


class Store:
    """Recordings by number; ``samples`` reads one from the file."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError: ``build`` has not written there."""
        rows = json.loads((folder / TABLE).read_text())
        self.recordings = [Recording(**{**row, "labels": tuple(row["labels"])}) for row in rows]
        self._data: NDArray[np.int16] = np.memmap(folder / SAMPLES, np.int16, "r")

    def __len__(self) -> int:
        """How many there are."""
        return len(self.recordings)

    def samples(self, number: int) -> Samples:
        """[S] float32 at the rate that it was built with."""
        one = self.recordings[number]
        return self._data[one.start : one.start + one.size].astype(np.float32) / np.float32(32768)


@dataclass(frozen=True)
class StoredSound:
    """A recording of a store, and what is heard in it; a ``Sound``."""

    store: Store
    number: int
    kinds: tuple[str, ...]

    @property
    def samples(self) -> Samples:
        """[S] at ``SAMPLE_RATE``, read anew."""
        return self.store.samples(self.number)


def esc50_sources(root: Path, folds: Collection[int]) -> list[Source]:
    """ESC-50's recordings of ``folds``, each called by the closest of AudioSet's labels."""
    return [
        Source(
            path=root / "audio" / row["filename"],
            name=f"ESC-50/{row['filename']}",
            labels=ESC50[row["category"]][:1],
            group=f"esc50-{row['fold']}",
        )
        for row in esc50.read_meta(root)
        if int(row["fold"]) in folds
    ]


def sound_sources(root: Path) -> list[Source]:
    """The real recordings to train on, but for those that choose between trainings."""
    return [
        Source(root / one.file, f"sounds/{one.file}", one.labels, one.group)
        for one in sounds.read(root, "train")
        if not one.chooses
    ]


def build(folder: Path, sources: Sequence[Source], sample_rate: int = SAMPLE_RATE) -> Store:
    """Decode ``sources`` into ``folder``, unless it holds these very ones already."""
    rows = [(s.name, s.labels, s.group) for s in sources]
    what = rows if sample_rate == SAMPLE_RATE else (sample_rate, rows)
    digest = hashlib.sha256(repr(what).encode())
    stamp = folder / STAMP
    if not (stamp.is_file() and stamp.read_text() == digest.hexdigest()):
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, sources, sample_rate)
        stamp.write_text(digest.hexdigest())
    return Store(folder)


def _write(folder: Path, sources: Iterable[Source], sample_rate: int) -> None:
    def read(source: Source) -> tuple[Source, NDArray[np.int16]]:
        heard = decode(source.path.read_bytes(), sample_rate, DecodeLimits()).samples.numpy()
        return source, np.round(heard * 32767).astype(np.int16)

    rows, start = [], 0
    with ThreadPoolExecutor(2) as pool, (folder / SAMPLES).open("wb") as file:
        for source, samples in tqdm(pool.map(read, sources), desc="recordings"):
            file.write(samples.tobytes())
            one = Recording(source.name, source.labels, source.group, start, len(samples))
            rows.append(asdict(one))
            start += len(samples)
    (folder / TABLE).write_text(json.dumps(rows))
