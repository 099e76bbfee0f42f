"""The teacher's opinions: of the whole, of windows side by side, and frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.encoders.level import level
from tests.support.networks import tagger
from training.samples.teacher import Teacher
from training.samples.tracks import KINDS

WINDOW_SAMPLES = 6 * 10_240


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(tagger())


def test_opinions_of_the_whole_and_of_its_windows(teacher: Teacher) -> None:
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, 2 * WINDOW_SAMPLES).astype(np.float32)
    samples[:WINDOW_SAMPLES] *= np.linspace(0, 1, WINDOW_SAMPLES, dtype=np.float32) ** 4
    found = teacher.opinion(samples)
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "clip": (len(KINDS),), "windows": (2, len(KINDS)), "features": (384,)
    }  # fmt: skip
    assert not found["windows"][:, 527:].any()  # of ours it knows nothing
    heard = level(torch.from_numpy(samples)[None], torch.tensor([len(samples)]), 32_000)
    with torch.no_grad():
        for row, part in enumerate(heard[0].view(2, -1)):
            logits, _ = teacher.network(teacher.encoder.front_end(part[None]))
            expected = logits[0].sigmoid()
            torch.testing.assert_close(
                found["windows"][row, :527].float(), expected, rtol=0, atol=1e-3
            )
    assert (found["windows"][0] - found["windows"][1]).abs().max() > 1e-3


def test_level_does_not_matter_and_nothing_learns(teacher: Teacher) -> None:
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, WINDOW_SAMPLES).astype(np.float32)
    one, other = teacher.opinion(samples), teacher.opinion(samples / np.float32(20))
    torch.testing.assert_close(one["clip"], other["clip"], rtol=0, atol=2e-3)
    assert not teacher.network.training
    assert not one["clip"].requires_grad


def test_a_track_has_a_row_per_frame(teacher: Teacher) -> None:
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, 40_000).astype(np.float32)
    assert teacher.track(samples).shape == (4, len(KINDS))
