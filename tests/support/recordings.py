"""Recordings of pure tones, one pitch per kind, and a teacher that hears pitches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.samples.tracks import KINDS
from training.scenes.store import SAMPLE_RATE, Source, Store, build

PITCHES: Mapping[str, float] = {
    "Church bell": 200.0,
    "Bark": 440.0,
    "Rain": 970.0,
    "Siren": 2130.0,
    "Meow": 4690.0,
    "Cough": 10_300.0,
}
"""AudioSet's kind -> Hz; so far apart that no change of speed makes one of another."""
WINDOW_SAMPLES = 6 * 10_240


def tone(kind: str, seconds: float = 1.0) -> NDArray[np.float32]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * PITCHES[kind] * times)).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], rate: int = SAMPLE_RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, "PCM_16")
    return path


def tones(folder: Path) -> Store:
    """Two recordings of each kind, of 1 and 2 s."""
    sources = [
        Source(write(folder / f"{kind}-{take}.wav", tone(kind, take)), f"{kind} {take}", (kind,),
               f"group {kind}")
        for kind in PITCHES
        for take in (1, 2)
    ]  # fmt: skip
    return build(folder / "store", sources)


class PitchTeacher:
    """As likely as a kind is, so much of the power lies around its pitch."""

    def opinion(self, samples: NDArray[np.float32]) -> dict[str, Tensor]:
        windows = [self.clip(part) for part in samples.reshape(-1, WINDOW_SAMPLES)]
        return {
            "clip": self.clip(samples),
            "windows": torch.stack(windows),
            "features": torch.zeros(384).half(),
        }

    @staticmethod
    def clip(samples: NDArray[np.float32]) -> Tensor:
        """[K]."""
        power = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.linspace(0, SAMPLE_RATE / 2, len(power))
        found = torch.zeros(len(KINDS))
        for kind, pitch in PITCHES.items():
            near = power[(hertz > pitch / 1.4) & (hertz < pitch * 1.4)].sum()
            found[KINDS[kind]] = float(near / (power.sum() + 1e-9))
        return found.half()


def kinds_in(probabilities: Tensor, least: float = 0.05) -> set[str]:
    """The kinds that are as likely."""
    return {kind for kind in PITCHES if probabilities[KINDS[kind]] > least}
