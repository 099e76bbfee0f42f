"""A frozen encoder's frames of every clip, mixture and reference, rendered once and kept.

Each clip is mixed by Algorithm 1 under every condition, ``variants`` times. Conditions of one
number and power of what is added share their mixtures: they differ in the reference alone, and what
is the same is encoded once. What is kept is a folder per piece (the clips; the mixtures of one
variant), written at once when it is whole and memory-mapped from then on.

Shapes: S samples, T frames, D features, N all frames of a piece.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from model.contracts import Encoder
from training.captions.naming import apart
from training.captions.ontology import LABELS
from training.captions.sounds import ESC50
from training.datasets.recording import CaptionedClip, Samples, read_samples
from training.scenes.algorithm1 import CONDITIONS, POWERS, Condition, draw_mixture, matching_gain
from training.scenes.bank import SoundBank

CHUNK = 64
"""Waveforms held in memory, which are then encoded in batches of one length."""
BATCH = 8
FRAMES, TABLE = "frames.npy", "table.npz"


@dataclass(frozen=True)
class Mixed:
    """Where the frames of one mixture are, and what was added to it."""

    input: int
    reference: int
    added: tuple[str, ...]
    """Kinds."""
    active: NDArray[np.bool_]
    """[T]: the frames in which the reference's sound is heard in the input."""


@dataclass
class Features:
    """The frames of a split's waveforms, by number."""

    frames: list[NDArray[np.float16]] = field(default_factory=list)
    """Each [T, D], read when it is looked at."""
    clips: list[int] = field(default_factory=list)
    """Clip -> number."""
    mixed: dict[str, list[list[Mixed]]] = field(default_factory=dict)
    """Condition -> clip -> variant."""
    joined: list[list[tuple[int, int]]] = field(default_factory=list)
    """Clip -> variant: the other clip, and the number of both together (AL-MixGen)."""

    def tensor(self, number: int) -> Tensor:
        """[T, D] in full precision."""
        return torch.from_numpy(self.frames[number].astype(np.float32))


class Waveforms(Features):
    """The clips themselves, which a model that has its encoder takes in their frames' place."""

    def __init__(self, root: Path, clips: Sequence[CaptionedClip], sample_rate: int) -> None:
        super().__init__(clips=[*range(len(clips))])
        self._paths = [root / clip.name for clip in clips]
        self._sample_rate = sample_rate

    def tensor(self, number: int) -> Tensor:
        """[S]."""
        return torch.from_numpy(read_samples(self._paths[number], self._sample_rate))


@dataclass(frozen=True)
class Renderer:
    """What mixes and encodes the clips of a split."""

    root: Path
    """The clips' folder."""
    clips: Sequence[CaptionedClip]
    bank: SoundBank
    """What may be added, at the encoder's rate."""
    encoder: Encoder
    seed: int
    mixed: int | None = None
    """So many clips, the first ones, are mixed; None: all."""

    def clip(self, number: int) -> Samples:
        """[S]."""
        return read_samples(self.root / self.clips[number].name, self.bank.sample_rate)

    def mixtures(self, names: Sequence[str], variant: int, encode: _Encode) -> _Table:
        """Every clip under each of the conditions, which share their mixtures."""
        frame = round(self.encoder.frame_s * self.bank.sample_rate)
        rows: list[tuple[int, int]] = []
        added: list[str] = []
        active: list[NDArray[np.bool_]] = []
        numbers = range(len(self.clips))[: self.mixed]
        for clip in tqdm(numbers, desc=f"{names[0]}, {variant}", leave=False):
            original = self.clip(clip)
            present = _like(self.clips[clip].kinds)
            for name in names:
                condition = condition_of(name)
                rng = np.random.default_rng((self.seed, clip, variant, int(condition.multi)))
                mixture = draw_mixture(original, self.bank, present, condition, rng)
                kinds = sorted({sound.kind for sound in mixture.added.placed})
                rows.append((encode(mixture.input), encode(mixture.reference)))
                added.append("|".join(kinds))
                active.append(mixture.added.activity(kinds, frame).max(axis=1) > 0)
        return {
            "rows": np.array(rows),
            "added": np.array(added),
            "active": np.concatenate(active),
            "active_ends": np.cumsum([len(one) for one in active]),
        }

    def alone(self, encode: _Encode) -> _Table:
        """Every clip as it is."""
        numbers = tqdm(range(len(self.clips)), desc="clips", leave=False)
        return {"rows": np.array([encode(self.clip(clip)) for clip in numbers])}

    def together(self, variant: int, encode: _Encode) -> _Table:
        """Every clip with another one (AL-MixGen)."""
        rows = []
        for clip in tqdm(range(len(self.clips)), desc=f"joined, {variant}", leave=False):
            rng = np.random.default_rng((self.seed, clip, variant, 2))
            other = int(rng.integers(len(self.clips)))
            rows.append((other, encode(_both(self.clip(clip), self.clip(other)))))
        return {"rows": np.array(rows)}


def keep(
    folder: Path,
    renderer: Callable[[], Renderer],
    conditions: Sequence[str],
    *,
    variants: int,
    joined: bool,
) -> Features:
    """The frames of a split's clips and mixtures: those in ``folder``, rendered where they lack.

    ``renderer`` is called for if anything does; ``joined`` mixes clips in pairs, too. A run that
    was killed loses the piece that it was at.
    """
    found = Features()
    made: list[Renderer] = []

    def piece(name: str, render: Callable[[Renderer, _Encode], _Table]) -> tuple[int, _Table]:
        path = folder / name
        if not path.is_dir():
            if not made:
                made.append(renderer())
            _write(path, made[0], render)
        first = len(found.frames)
        with np.load(path / TABLE) as table:
            kept = {key: table[key] for key in table.files}
        frames = np.load(path / FRAMES, mmap_mode="r")
        found.frames += np.split(frames, kept["ends"][:-1])
        return first, kept

    first, table = piece("clips", lambda by, encode: by.alone(encode))
    found.clips = [first + int(number) for number in table["rows"]]
    for names in _sharing(conditions):
        for variant in range(variants):
            label = names[0].replace("/", "-").replace(" ", "")
            first, table = piece(
                f"{label}-{variant}",
                lambda by, encode, n=names, v=variant: by.mixtures(n, v, encode),  # type: ignore[misc]
            )
            for row, one in enumerate(_mixed(first, table)):
                clip, place = divmod(row, len(names))
                by_clip = found.mixed.setdefault(names[place], [])
                if clip == len(by_clip):
                    by_clip.append([])
                by_clip[clip].append(one)
    for variant in range(variants if joined else 0):
        first, table = piece(
            f"joined-{variant}",
            lambda by, encode, v=variant: by.together(v, encode),  # type: ignore[misc]
        )
        for clip, (other, number) in enumerate(table["rows"]):
            if variant == 0:
                found.joined.append([])
            found.joined[clip].append((int(other), first + int(number)))
    return found


def condition_of(name: str) -> Condition:
    """One of the paper's, or of another power. Raises KeyError if there is no such."""
    return CONDITIONS[name] if name in CONDITIONS else POWERS[name]


def _sharing(conditions: Sequence[str]) -> Iterator[list[str]]:
    """All conditions of the tables that these share their mixtures with, in fixed order."""
    names = [*CONDITIONS, *POWERS]
    alike = {name: (condition_of(name).multi, condition_of(name).power_db) for name in names}
    for _, group in groupby(names, alike.__getitem__):
        together = list(group)
        if not set(conditions).isdisjoint(together):
            yield together


def _like(kinds: frozenset[str]) -> list[str]:
    """ESC-50's kinds that may be heard where these labels are."""
    labels = tuple(kind for kind in kinds if kind in LABELS)
    return [kind for kind, own in ESC50.items() if kind in kinds or not apart(own, labels)]


def _mixed(first: int, table: _Table) -> Iterator[Mixed]:
    actives = np.split(table["active"], table["active_ends"][:-1])
    for row, added, active in zip(table["rows"], table["added"], actives, strict=True):
        heard, reference = (first + int(number) for number in row)
        yield Mixed(heard, reference, tuple(str(added).split("|")), active)


_Table = dict[str, Any]
"""Arrays by name."""


def _write(path: Path, renderer: Renderer, render: Callable[[Renderer, _Encode], _Table]) -> None:
    """One piece, at once."""
    encode = _Encode(renderer.encoder)
    table = render(renderer, encode)
    encode.flush()
    half = path.with_name(f".{path.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    np.save(half / FRAMES, np.concatenate(encode.frames))
    np.savez(half / TABLE, ends=np.cumsum([len(one) for one in encode.frames]), **table)
    half.rename(path)


def _both(first: Samples, second: Samples) -> Samples:
    """AL-MixGen: two clips at once, at matched power, as long as the longer one."""
    together = np.zeros(max(len(first), len(second)), np.float32)
    together[: len(first)] += first
    together[: len(second)] += second * matching_gain(second, first)
    return together


class _Encode:
    """Numbers waveforms; encodes them, once enough have come, in batches of one length."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder.eval()
        self._device = next(encoder.parameters()).device
        self.frames: list[NDArray[np.float16]] = []
        """By number, each [T, D]."""
        self._numbers: dict[bytes, int] = {}
        self._waiting: list[tuple[int, Samples]] = []

    def __call__(self, samples: Samples) -> int:
        digest = hashlib.blake2b(samples.tobytes(), digest_size=16).digest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self._numbers)
            self._waiting.append((self._numbers[digest], samples))
            if len(self._waiting) == CHUNK:
                self.flush()
        return self._numbers[digest]

    @torch.inference_mode()
    def flush(self) -> None:
        """Encode what waits."""
        self.frames += [np.zeros((0, 0), np.float16)] * len(self._waiting)
        self._waiting.sort(key=lambda item: len(item[1]))
        for _, group in groupby(self._waiting, lambda item: len(item[1])):
            alike = list(group)
            for start in range(0, len(alike), BATCH):
                batch = alike[start : start + BATCH]
                clips = torch.from_numpy(np.stack([samples for _, samples in batch]))
                lengths = torch.full((len(clips),), clips.shape[1], device=self._device)
                encoded = self._encoder(clips.to(self._device), lengths)
                for (number, _), one in zip(batch, encoded.split(), strict=True):
                    self.frames[number] = one.frames[0].half().cpu().numpy()
        self._waiting.clear()
