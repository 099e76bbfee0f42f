"""The sounds that the web page offers: ``python -m training.demo OUT_DIR`` writes them as MP3.

All are made in code, so they carry nobody's licence; MP3, because every browser plays it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from training.scenes.augment import Samples
from training.scenes.synthetic import synthesize

RATE = 16_000
SECONDS = 5.0
PEAK = 0.9


def sounds() -> dict[str, Samples]:
    """Clips by name, each [S] at ``RATE`` hertz, peak at most ``PEAK``; the same every time.

    ``x-and-y`` holds ``x`` as it is alone, and something more: what a comparison should name.
    """
    siren, knocks, telephone = _made("siren"), _made("knocks"), _made("telephone_ring")
    engine, clock, ball = _made("engine"), _made("clock_tick"), _made("bouncing_ball")
    scenes = (
        {"siren": siren, "knocks": knocks, "siren-and-knocks": siren + knocks},
        {"engine": engine, "engine-and-whistle": engine + _late("whistle")},
        {"clock": clock, "clock-and-telephone": clock + _late("telephone_ring")},
        {"telephone": telephone},
        {"ball": ball},
    )
    return {name: clip for scene in scenes for name, clip in _levelled(scene).items()}


def write(folder: Path) -> None:
    """Write every sound to ``folder``, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in sounds().items():
        # 48 kbit/s: 30 kB per clip.
        soundfile.write(
            folder / f"{name}.mp3", samples, RATE, bitrate_mode="CONSTANT", compression_level=0.75
        )


def _made(source: str, seconds: float = SECONDS) -> Samples:
    return synthesize(source, np.random.default_rng(1), RATE, seconds)


def _late(source: str) -> Samples:
    """Two seconds of a sound, from the middle of the clip on."""
    sound = _made(source, 2.0)
    clip = np.zeros(round(SECONDS * RATE), np.float32)
    clip[clip.size // 2 :][: sound.size] = sound
    return clip


def _levelled(scene: dict[str, Samples]) -> dict[str, Samples]:
    """The clips of one scene, made louder or softer together."""
    gain = np.float32(PEAK / max(float(np.abs(clip).max()) for clip in scene.values()))
    return {name: gain * clip for name, clip in scene.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m training.demo", description=__doc__)
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    write(parser.parse_args().out_dir)
