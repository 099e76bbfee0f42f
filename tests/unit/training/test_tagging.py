"""Tagging scenes: a function of seed and index, mixed as stated, with labels that are true."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.captions.kinds import KINDS
from training.samples.tagging import TaggingScenes, collate, level, matched
from training.scenes.augment import power
from training.scenes.scene import Placed, SoundBank

FRAME = 1280
SECONDS = 0.96

# On a machine with one core PyTorch advises against two workers; from Python 3.12 on, forking a
# process that has threads warns.
workers_are_wanted = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning",
    "ignore:.*use of fork:DeprecationWarning",
)


def scenes(bank: SoundBank, seed: int = 0, size: int = 1000) -> TaggingScenes:
    return TaggingScenes(bank, size=size, seed=seed, frame=FRAME, seconds=SECONDS)


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], two[key]) for key in one)


def test_a_scene_is_decided_by_seed_and_index_alone(bank: SoundBank) -> None:
    first, second = scenes(bank), scenes(bank)
    forwards = [first[i] for i in range(30)]
    backwards = [second[i] for i in reversed(range(30))][::-1]
    assert all(map(equal, forwards, backwards))
    assert not any(map(equal, forwards, forwards[1:]))
    other = scenes(bank, seed=1)
    assert not any(equal(forwards[i], other[i]) for i in range(30))


@workers_are_wanted
def test_worker_processes_make_the_same_scenes(bank: SoundBank) -> None:
    data = scenes(bank, size=12)
    batches = list(DataLoader(data, batch_size=3, num_workers=2, collate_fn=collate))
    assert len(batches) == 4
    for number, batch in enumerate(batches):
        assert equal(batch, collate([data[3 * number + i] for i in range(3)]))


def test_shapes_and_values(bank: SoundBank) -> None:
    batch = collate([scenes(bank)[i] for i in range(40)])
    length = int(SECONDS * bank.sample_rate)
    assert batch["samples"].shape == (40, length)
    assert batch["samples"].dtype == batch["active"].dtype == torch.float32
    assert batch["active"].shape == (40, length // FRAME, len(KINDS))
    assert set(batch["active"].unique().tolist()) == {0.0, 1.0}
    assert batch["samples"].abs().max() <= 1


def test_singles_pairs_laid_out_events_and_silence_in_their_shares(bank: SoundBank) -> None:
    data = scenes(bank)
    kinds = Counter(int(data[i]["active"].any(dim=0).sum()) for i in range(600))
    shares = {number: count / 600 for number, count in kinds.items()}
    assert shares[0] == pytest.approx(0.03, abs=0.02)
    assert shares[1] == pytest.approx(0.42 + 0.05, abs=0.06)
    assert shares[2] == pytest.approx(0.40 + 0.05, abs=0.06)
    assert shares[3] == pytest.approx(0.05, abs=0.03)
    assert set(shares) == {0, 1, 2, 3}


def test_frames_without_a_label_are_quiet(bank: SoundBank) -> None:
    """Whatever is louder than the noise, which is at most at -42 dB, has a label."""
    data = scenes(bank)
    checked = 0
    for i in range(80):
        item = data[i]
        energy = item["samples"].unflatten(0, (-1, FRAME)).square().mean(dim=1)
        silent = ~item["active"].any(dim=1)
        checked += int(silent.sum())
        assert (energy[silent] < max(10 ** (-41.5 / 10), 1e-3 * float(energy.max()))).all()
    assert checked > 20


def test_matched_power() -> None:
    rng = np.random.default_rng(0)
    one = Placed("dog", 0, rng.standard_normal(500).astype(np.float32))
    two = Placed("rain", 3, 0.01 * rng.standard_normal(900).astype(np.float32))
    for above_db in (-6.0, 0.0, 4.0):
        scaled = matched(two, one, above_db)
        ratio = 10 * np.log10(power(scaled.samples) / power(one.samples))
        assert ratio == pytest.approx(above_db, abs=0.01)
        assert (scaled.kind, scaled.start) == ("rain", 3)
    silence = Placed("cat", 0, np.zeros(10, np.float32))
    assert matched(silence, one) is silence
    assert matched(one, silence) is one


def test_level_is_within_15_db_of_full_scale_mostly_with_noise() -> None:
    rng = np.random.default_rng(1)
    sound = (7 * np.sin(np.arange(4000))).astype(np.float32)
    sound[:2000] = 0
    peaks, floors = [], []
    for _ in range(300):
        leveled = level(sound, rng)
        assert leveled.dtype == np.float32
        peaks.append(20 * np.log10(np.abs(leveled).max()))
        floors.append(power(leveled[:2000]))
    assert min(peaks) > -15.8  # where noise of -42 dB took some of a peak of -15 dB
    assert min(peaks) < -14
    assert max(peaks) <= 0
    assert max(peaks) > -1
    noisy = np.array([floor for floor in floors if floor > 0])
    assert 0.6 < len(noisy) / 300 < 0.8
    assert 10 * np.log10(noisy.max()) < -41.5
    assert 10 * np.log10(noisy.min()) > -80.5


def test_level_leaves_silence_but_for_noise() -> None:
    rng = np.random.default_rng(2)
    powers = [power(level(np.zeros(1000, np.float32), rng)) for _ in range(60)]
    assert min(powers) == 0
    assert 0 < max(powers) < 10**-4.1
