"""Pairs of scenes: a function of seed and index, with labels that are true of all three parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from training.captions.kinds import KINDS
from training.samples.comparing import ComparingScenes
from training.scenes.bank import SoundBank
from training.scenes.scene import Placed, Scene

FRAME = 1280
SECONDS = 0.96


@pytest.fixture
def pairs(bank: SoundBank) -> ComparingScenes:
    return ComparingScenes(bank, seed=0, frame=FRAME, seconds=SECONDS)


def present(active: Tensor) -> set[int]:
    """The kinds of one part, from its [T, K]."""
    return set(active.any(dim=0).nonzero().flatten().tolist())


def test_a_pair_is_decided_by_seed_and_index_alone(pairs: ComparingScenes, bank: SoundBank) -> None:
    again = ComparingScenes(bank, seed=0, frame=FRAME, seconds=SECONDS)
    other = ComparingScenes(bank, seed=1, frame=FRAME, seconds=SECONDS)
    for index in range(10):
        for part in ("input", "reference", "active"):
            assert torch.equal(pairs[index][part], again[index][part])
        assert not torch.equal(pairs[index]["input"], other[index]["input"])


def test_the_difference_is_what_the_input_has_and_the_reference_has_not(
    pairs: ComparingScenes,
) -> None:
    for index in range(150):
        input_, reference, difference = pairs[index]["active"]
        assert present(difference) == present(input_) - present(reference)
        for kind in present(difference):  # heard when it is in the input
            assert torch.equal(difference[:, kind], input_[:, kind])


def test_every_relation_of_input_and_reference_occurs(pairs: ComparingScenes) -> None:
    seen: Counter[str] = Counter()
    for index in range(300):
        input_, reference, difference = map(present, pairs[index]["active"])
        if input_ and not difference:
            seen["all held"] += 1
        elif input_ and difference != input_:
            seen["some held"] += 1
        elif input_ and reference:
            seen["unrelated"] += 1
        if reference - input_:
            seen["more in the reference"] += 1
    assert seen["all held"] > 300 * 0.12
    assert seen["some held"] > 300 * 0.3
    assert seen["unrelated"] > 300 * 0.2
    assert seen["more in the reference"] > 300 * 0.3


def test_what_is_held_is_aligned_shifted_or_another_recording(
    pairs: ComparingScenes, bank: SoundBank
) -> None:
    rng = np.random.default_rng(0)
    length = int(SECONDS * bank.sample_rate)
    kind, samples = bank.draw(rng)
    sound = Placed(kind, 0, bank.window(samples, rng, length))
    original = sound.samples / np.linalg.norm(sound.samples)
    found: Counter[str] = Counter()
    for _ in range(120):
        again = Scene(length, (pairs.again(sound, length, rng),)).mix()
        again /= np.linalg.norm(again)
        spectrum = np.fft.rfft(again) * np.conj(np.fft.rfft(original))
        best = float(np.fft.irfft(spectrum, length).max())
        if np.allclose(again, original, atol=1e-4):
            found["aligned"] += 1
        elif best > 0.999:
            found["shifted"] += 1
        else:
            found["other"] += 1
    assert found["aligned"] / 120 == pytest.approx(0.4, abs=0.15)
    assert found["shifted"] / 120 == pytest.approx(0.3, abs=0.15)
    assert found["other"] / 120 == pytest.approx(0.3, abs=0.15)


def test_shapes(pairs: ComparingScenes) -> None:
    length = int(SECONDS * pairs.bank.sample_rate)
    for index in range(3):
        pair = pairs[index]
        assert pair["input"].shape == pair["reference"].shape == (length,)
        assert pair["active"].shape == (3, length // FRAME, len(KINDS))
