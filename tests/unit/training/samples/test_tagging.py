"""Tagging scenes: a function of seed and index, mixed as stated, with labels that are true."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from training.captions.kinds import KINDS
from training.samples.collate import collate
from training.samples.tagging import TaggingScenes
from training.scenes.bank import SoundBank

FRAME = 1280
SECONDS = 0.96

# On a machine with one core PyTorch advises against two workers; from Python 3.12 on, forking a
# process that has threads warns.
workers_are_wanted = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create:UserWarning",
    "ignore:.*use of fork:DeprecationWarning",
)


def scenes(bank: SoundBank, seed: int = 0) -> TaggingScenes:
    return TaggingScenes(bank, seed=seed, frame=FRAME, seconds=SECONDS)


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
    data = scenes(bank)
    twelve = Subset(data, range(12))
    batches = list(DataLoader(twelve, batch_size=3, num_workers=2, collate_fn=collate))
    assert len(batches) == 4
    for number, batch in enumerate(batches):
        assert equal(batch, collate([data[3 * number + i] for i in range(3)]))


def test_shapes_and_values(bank: SoundBank) -> None:
    batch = collate([scenes(bank)[i] for i in range(40)])
    length = int(SECONDS * bank.sample_rate)
    assert batch["inputs"].shape == (40, length)
    assert batch["inputs"].dtype == batch["active"].dtype == torch.float32
    assert batch["active"].shape == (40, length // FRAME, len(KINDS))
    assert set(batch["active"].unique().tolist()) == {0.0, 1.0}
    assert batch["inputs"].abs().max() <= 1


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
        energy = item["input"].unflatten(0, (-1, FRAME)).square().mean(dim=1)
        silent = ~item["active"].any(dim=1)
        checked += int(silent.sum())
        assert (energy[silent] < max(10 ** (-41.5 / 10), 1e-3 * float(energy.max()))).all()
    assert checked > 20
