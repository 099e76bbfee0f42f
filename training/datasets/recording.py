"""What every data set of recordings gives: one shape, and the audio decoded.

Shapes: S samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.audio import decode

Samples = NDArray[np.float32]
"""[S] mono in [-1, 1], unless said otherwise."""


@dataclass(frozen=True)
class Recording:
    """One recording, decoded, and what its data set says of it."""

    name: str
    """Its file; unique in its data set."""
    kinds: tuple[str, ...]
    """What is heard in it, the main kind first; at least one."""
    samples: Samples
    split: str
    """In the data set's own words: a fold, "train", ..."""
    licence: str

    @property
    def kind(self) -> str:
        """The main kind."""
        return self.kinds[0]


@dataclass(frozen=True)
class CaptionedClip:
    """A clip that a captioner is trained with or tested on; its audio stays in its file."""

    name: str
    """Its file, relative to the data's folder."""
    subset: str
    """Scored together: "human" or "grammar", by whose captions they are."""
    captions: tuple[str, ...]
    events: tuple[tuple[str, float, float], ...]
    """Kind, start and end in seconds; none where they are not known."""
    sha256: str = ""
    """Of the samples, 16-bit little-endian, where they were laid out here."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of sound in it."""
        return frozenset(kind for kind, _, _ in self.events)


def read_samples(path: Path, sample_rate: int) -> Samples:
    """A file of any format, at ``sample_rate`` Hz."""
    samples: Samples = decode(path.read_bytes(), sample_rate).samples.numpy()
    return samples
