"""Clips to try the commands with: the web page's own, as WAV.

They are real recordings, by CC0 and CC BY; ``CREDITS.md``, which lies beside them, says whose.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import soundfile

CLIPS = (
    "woman",
    "church-bells",
    "rain",
    "crickets",
    "cymbal",
    "woman-and-bells",
    "woman-in-rain",
)
"""``woman-and-bells`` is the sum of ``woman`` and ``church-bells``, which have the same power."""
CREDITS = "CREDITS.md"
_BUNDLED = Path(__file__).resolve().parents[1] / "service" / "web" / "demo"


def write(folder: Path) -> list[Path]:
    """Write the clips as 16-bit WAV and say where. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_BUNDLED / CREDITS, folder / CREDITS)
    paths = []
    for name in CLIPS:
        samples, rate = soundfile.read(_BUNDLED / f"{name}.flac", dtype="int16")
        paths.append(folder / f"{name}.wav")
        soundfile.write(paths[-1], samples, rate)
    return paths
