"""Pairs of scenes: what is done to one of them is what is said, and nothing else is heard."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from training.captions.edits import EVERYTHING, sentence
from training.samples.collate import collate
from training.samples.edits import CHANGE_DB, KINDS, LENGTH_S, Edits
from training.scenes.augment import power
from training.scenes.store import SAMPLES, TABLE, Store

RATE = 8000
SOUNDS = ("Rain", "Engine", "Bark", "Siren", "Church bell", "Cough")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Edits:
    """Edits of three recordings each of six kinds, noise at a pitch of its own."""
    folder, rng, rows, parts, start = (
        tmp_path_factory.mktemp("store"),
        np.random.default_rng(0),
        [],
        [],
        0,
    )
    for label in SOUNDS:
        for take in range(3):
            size = int(rng.integers(RATE, 3 * RATE))
            tone = np.sin(np.arange(size) * rng.uniform(0.1, 2)) + 0.1 * rng.standard_normal(size)
            parts.append((3000 * tone).astype(np.int16))
            rows.append(
                {
                    "name": f"{label}{take}",
                    "labels": [label],
                    "group": "",
                    "start": start,
                    "size": size,
                }
            )
            start += size
    (folder / SAMPLES).write_bytes(np.concatenate(parts).tobytes())
    (folder / TABLE).write_text(json.dumps(rows))
    return Edits(
        Store(folder), lambda text, _: torch.tensor([*text.encode()]), sample_rate=RATE, seed=1
    )


def decibels(samples: np.ndarray) -> float:
    return 10 * float(np.log10(power(samples) + 1e-12))


def test_a_pair_is_a_function_of_its_number(made: Edits) -> None:
    one, again, other = made[3], made[3], made[4]
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["input"][:1000], other["input"][:1000])


def test_both_clips_are_of_one_length_and_can_be_stored(made: Edits) -> None:
    for index in range(40):
        pair = made[index]
        assert len(pair["input"]) == len(pair["reference"])
        assert LENGTH_S[0] - 0.1 <= len(pair["input"]) / RATE <= LENGTH_S[1]
        assert max(pair["input"].abs().max(), pair["reference"].abs().max()) < 1.2
    batch = collate([made[0], made[1]])
    assert len(batch["tokens"]) == len(batch["inverse_tokens"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_one_edit_is_made_of_each_kind(made: Edits, kind: str) -> None:
    kinds = {
        "add": {"added", "removed"}, "level": {"louder", "quieter"}, "replace": {"different"},
        "move": {"earlier", "later"}, "all": {"louder", "quieter"},
    }[kind]  # fmt: skip
    pairs = [made.pair(np.random.default_rng(seed), [kind]) for seed in range(60)]
    edits = [pair.edits[0] for pair in pairs if pair.edits]
    assert len(edits) > 20
    assert {edit.kind for edit in edits} == kinds
    assert all((edit.noun is EVERYTHING) == (kind == "all") for edit in edits)


def test_what_is_louder_is_as_many_decibels_louder(made: Edits) -> None:
    for seed in range(30):
        pair = made.pair(np.random.default_rng(seed), ["all"])
        change = decibels(pair.after) - decibels(pair.before)
        assert (change > 0) == (pair.edits[0].kind == "louder")
        assert CHANGE_DB[0] - 3 < abs(change) < CHANGE_DB[1] + 3


def test_nothing_is_said_where_nothing_was_done(made: Edits) -> None:
    for seed in range(20):
        pair = made.pair(np.random.default_rng(seed), [])
        assert sentence(pair.edits) == "nothing has changed"
        assert abs(decibels(pair.after) - decibels(pair.before)) < 3


def test_two_edits_are_of_two_sounds(made: Edits) -> None:
    for seed in range(60):
        pair = made.pair(np.random.default_rng(seed), ["add", "level"])
        assert len({edit.noun for edit in pair.edits}) == len(pair.edits) > 0
