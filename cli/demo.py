"""Clips to try the commands with, made in code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from training.scenes.algorithm1 import matching_gain
from training.scenes.augment import Samples
from training.scenes.synthetic import synthesize

RATE = 16_000
"""Hertz."""
SECONDS = 5.0
SOUNDS = {
    "siren": ("siren", 1),
    "telephone": ("telephone_ring", 1),
    "bouncing-ball": ("bouncing_ball", 1),
    "knocks": ("knocks", 1),
}
"""Clip -> (a source of ``training.scenes.synthetic.SOUNDS``, seed)."""


def sounds() -> dict[str, Samples]:
    """Clips by name, each [S] at ``RATE`` hertz; the same ones every time.

    ``siren-and-knocks`` is the sum of ``siren`` and ``knocks``, which have the same power.
    """
    made = {
        name: synthesize(source, np.random.default_rng(seed), RATE, SECONDS)
        for name, (source, seed) in SOUNDS.items()
    }
    made["knocks"] *= matching_gain(made["knocks"], made["siren"])
    made["siren-and-knocks"] = made["siren"] + made["knocks"]
    scene = ("siren", "knocks", "siren-and-knocks")
    peak = max(float(np.abs(made[name]).max()) for name in scene)
    for name in scene:
        made[name] *= np.float32(0.9 / peak)
    return made


def write(folder: Path) -> list[Path]:
    """Write the clips as 16-bit WAV and say where. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, samples in sounds().items():
        paths.append(folder / f"{name}.wav")
        soundfile.write(paths[-1], samples, RATE, subtype="PCM_16")
    return paths
