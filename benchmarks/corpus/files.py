"""Files of 2 to 3 s with sounds made in code, no two alike, and some that are broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from training.scenes.synthetic import SOUNDS, synthesize

BROKEN = 0.01
_FORMATS = (("wav", 16_000), ("flac", 44_100), ("ogg", 48_000), ("wav", 44_100))
_BASES = 48


def write(folder: Path, count: int) -> set[str]:
    """Write ``count`` files; the paths of those that are broken, one in a hundred."""
    rng = np.random.default_rng(0)
    bases = {
        rate: [
            synthesize(sorted(SOUNDS)[number % len(SOUNDS)], rng, rate, 4.0)
            for number in range(_BASES // 3)
        ]
        for rate in {rate for _, rate in _FORMATS}
    }
    broken = set()
    for number in range(count):
        kind, rate = _FORMATS[number % len(_FORMATS)]
        path = folder / f"{number // 1000:03}" / f"{number:07}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        base = bases[rate][rng.integers(len(bases[rate]))]
        begin, size = rng.integers(rate), round(rng.uniform(2, 3) * rate)
        soundfile.write(path, rng.uniform(0.2, 1) * base[begin : begin + size], rate)
        if number % round(1 / BROKEN) == 50:
            broken.add(str(path))
            data = path.read_bytes()
            damaged = (b"", data[: len(data) // 3], rng.bytes(5000), b"not a sound\n" * 100)
            path.write_bytes(damaged[len(broken) % len(damaged)])
    return broken
