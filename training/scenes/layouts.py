"""A layout of sounds in time, laid out from recordings.

Shapes: S samples.
"""

from __future__ import annotations

import numpy as np

from training.captions.layout import Layout
from training.scenes.bank import SoundBank
from training.scenes.scene import Placed, Scene, matched


def lay_out(bank: SoundBank, layout: Layout, rng: np.random.Generator, length: int) -> Scene:
    """A scene of ``length`` samples: groups in the order of time, the kinds of one group at once.

    What is in the background is softer.
    """
    edges = np.linspace(0, length, len(layout.groups) + 1).astype(int)
    placed: list[Placed] = []
    for group, start, end in zip(layout.groups, edges[:-1], edges[1:], strict=True):
        for kind in group:
            _, samples = bank.draw(rng, kind=kind)
            sound = bank.event(bank.vary(samples, rng), rng, int(end - start))
            if len(group) > 1:
                sound = np.resize(sound, end - start)  # repeated, so that they overlap
            behind = kind in layout.background
            at = int(start + rng.integers(int(end - start) - len(sound) + 1))
            item = Placed(kind, at, sound)
            gain_db = rng.normal(-8 if behind else 0, 3)
            placed.append(matched(item, placed[0], gain_db) if placed else item)
    return Scene(length, tuple(placed))


def random_layout(bank: SoundBank, rng: np.random.Generator) -> Layout:
    """One to three kinds, one after the other or at once."""
    count = int(rng.choice([1, 2, 3], p=[0.15, 0.55, 0.30]))
    kinds: list[str] = []
    groups: list[tuple[str, ...]] = []
    while len(kinds) < count:
        kind, _ = bank.draw(rng, avoid=kinds)
        kinds.append(kind)
        together = bool(groups) and rng.random() < 0.3
        if together:
            groups[-1] = (*groups[-1], kind)
        else:
            groups.append((kind,))
    return Layout(tuple(groups), ())
