"""A frozen encoder's frames of every clip, mixture and reference, rendered once and kept.

Each clip is mixed by Algorithm 1 under every condition, ``variants`` times. The inputs of the
conditions with one recording are the same mixture, and so are those of the conditions with several:
they differ in the reference alone, and what is the same is encoded once.

Shapes: S samples, T frames, D features, N all frames of a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from model.contracts import Encoder
from training.datasets.recording import CaptionedClip, Samples, read_samples
from training.scenes.algorithm1 import CONDITIONS, draw_mixture, matching_gain
from training.scenes.bank import SoundBank

CHUNK = 256
"""Waveforms held in memory, which are then encoded in batches of similar length."""
BATCH = 16


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
    """Each [T, D]."""
    clips: list[int] = field(default_factory=list)
    """Clip -> number."""
    mixed: dict[str, list[list[Mixed]]] = field(default_factory=dict)
    """Condition -> clip -> variant."""
    joined: list[list[tuple[int, int]]] = field(default_factory=list)
    """Clip -> variant: the other clip, and the number of both together (AL-MixGen)."""

    def tensor(self, number: int) -> Tensor:
        """[T, D] in full precision."""
        return torch.from_numpy(self.frames[number]).float()


def render(
    root: Path,
    clips: Sequence[CaptionedClip],
    bank: SoundBank,
    encoder: Encoder,
    *,
    variants: int,
    seed: int,
    join: bool,
) -> Features:
    """Mix and encode the clips in ``root``.

    ``bank`` holds what may be added, at the encoder's rate; ``join`` mixes clips in pairs, too.
    """
    found = Features()
    frame = round(encoder.frame_s * bank.sample_rate)
    encode = _Encode(encoder, found.frames)

    def mixed(original: Samples, clip: int, name: str, variant: int) -> Mixed:
        condition = CONDITIONS[name]
        rng = np.random.default_rng((seed, clip, variant, int(condition.multi)))
        mixture = draw_mixture(original, bank, sorted(clips[clip].kinds), condition, rng)
        kinds = sorted({sound.kind for sound in mixture.added.placed})
        active: NDArray[np.bool_] = mixture.added.activity(kinds, frame).max(axis=1) > 0
        return Mixed(encode(mixture.input), encode(mixture.reference), tuple(kinds), active)

    def joined(original: Samples, other: int) -> tuple[int, int]:
        samples = read_samples(root / clips[other].name, bank.sample_rate)
        return other, encode(_both(original, samples))

    for clip, one in enumerate(tqdm(clips, desc="features")):
        original = read_samples(root / one.name, bank.sample_rate)
        found.clips.append(encode(original))
        for name in CONDITIONS:
            drawn = [mixed(original, clip, name, variant) for variant in range(variants)]
            found.mixed.setdefault(name, []).append(drawn)
        if join:
            rng = np.random.default_rng((seed, clip))
            others = [int(rng.integers(len(clips))) for _ in range(variants)]
            found.joined.append([joined(original, other) for other in others])
    encode.flush()
    return found


def _both(first: Samples, second: Samples) -> Samples:
    """AL-MixGen: two clips at once, at matched power, as long as the longer one."""
    together = np.zeros(max(len(first), len(second)), np.float32)
    together[: len(first)] += first
    together[: len(second)] += second * matching_gain(second, first)
    return together


class _Encode:
    """Numbers waveforms; encodes them in batches once enough have come."""

    def __init__(self, encoder: Encoder, frames: list[NDArray[np.float16]]) -> None:
        self._encoder = encoder.eval()
        self._device = next(encoder.parameters()).device
        self._frames = frames
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
        self._frames += [np.zeros((0, 0), np.float16)] * len(self._waiting)
        self._waiting.sort(key=lambda item: len(item[1]))
        for start in range(0, len(self._waiting), BATCH):
            batch = self._waiting[start : start + BATCH]
            clips = [torch.from_numpy(samples) for _, samples in batch]
            encoded = self._encoder(
                pad_sequence(clips, batch_first=True).to(self._device),
                torch.tensor([len(clip) for clip in clips], device=self._device),
            )
            for (number, _), one in zip(batch, encoded.split(), strict=True):
                self._frames[number] = one.frames[0].half().cpu().numpy()
        self._waiting.clear()


def save(features: Features, path: Path) -> None:
    """Write one ``.npz`` file, without pickle."""
    mixed = [
        (condition, clip, variant, one)
        for condition, by_clip in enumerate(features.mixed.values())
        for clip, drawn in enumerate(by_clip)
        for variant, one in enumerate(drawn)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part.npz")  # so that a file of this name is whole
    np.savez(
        partial,
        frames=np.concatenate(features.frames),
        lengths=[len(one) for one in features.frames],
        clips=features.clips,
        conditions=[*features.mixed],
        mixed=[(c, clip, v, one.input, one.reference) for c, clip, v, one in mixed],
        added=["|".join(one.added) for *_, one in mixed],
        active=np.concatenate([one.active for *_, one in mixed]),
        active_lengths=[len(one.active) for *_, one in mixed],
        joined=features.joined,
    )
    partial.rename(path)


def load(path: Path) -> Features:
    """Read what ``save`` wrote."""
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    conditions = [str(name) for name in data["conditions"]]
    clips = [int(number) for number in data["clips"]]
    mixed: dict[str, list[list[Mixed]]] = {name: [[] for _ in clips] for name in conditions}
    actives = np.split(data["active"], np.cumsum(data["active_lengths"])[:-1])
    for row, added, active in zip(data["mixed"], data["added"], actives, strict=True):
        condition, clip, _, heard, reference = map(int, row)
        kinds = tuple(str(added).split("|"))
        mixed[conditions[condition]][clip].append(Mixed(heard, reference, kinds, active))
    return Features(
        np.split(data["frames"], np.cumsum(data["lengths"])[:-1]),
        clips,
        mixed,
        [[(int(other), int(number)) for other, number in drawn] for drawn in data["joined"]],
    )
