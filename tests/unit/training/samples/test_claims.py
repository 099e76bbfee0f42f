"""Scenes and what is known of them, as a model hears them, and sentences by turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, EventsConfig, MobileNetConfig
from tests.support.recordings import PitchTeacher, tones
from training.samples import claims
from training.samples import differences as differing
from training.samples.canvases import Canvases
from training.samples.claims import Claims, Left, Scenes
from training.samples.collate import collate
from training.samples.differences import Differences
from training.samples.tracks import KINDS
from training.scenes.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tones(tmp_path_factory.mktemp("tones"))


def scenes(store: Store, seed: int = 0) -> Scenes:
    teacher: Any = PitchTeacher()
    canvases = Canvases(store, range(len(store)), teacher, sample_rate=16_000, seed=5)
    return Scenes(Differences(canvases, seed=6), seed=seed)


@pytest.fixture(scope="module")
def model() -> CaptionerModel:
    torch.manual_seed(0)
    return CaptionerModel(
        CaptionerConfig(
            encoder=MobileNetConfig(),
            events=EventsConfig(labels=tuple(KINDS)),
            decoder=BartDecoderConfig(
                vocab_size=20, width=16, layers=1, heads=2, ffn=16, max_positions=64
            ),
        )
    )


def rows(wanted: Tensor) -> list[set[str]]:
    """The labels of each sound."""
    names = [*KINDS]
    return [{names[k] for k in row.nonzero()[:, 0].tolist()} for row in wanted if row.any()]


def test_a_scene_is_decided_by_seed_and_index_alone(store: Store) -> None:
    first, second, other = scenes(store), scenes(store), scenes(store, seed=1)
    for index in (3, 0, 2):
        one, two, three = first[index], second[index], other[index]
        assert torch.equal(one["input"], two["input"])  # type: ignore[arg-type]
        assert torch.equal(one["heard"], two["heard"])  # type: ignore[arg-type]
        assert not torch.equal(one["input"], three["input"])  # type: ignore[arg-type]


def test_what_is_wanted_of_a_clip_is_what_lies_in_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "ALONE", 1.0)
    data = scenes(store)
    for index in range(12):
        rng = np.random.default_rng((0, 61, index))
        rng.random()
        canvas, placed = data.canvases.canvas(rng)
        item = data[index]
        assert item["reference"] is None
        assert item["wanted"] is not None
        labels = [set(store.recordings[n].labels) for n, _, _ in placed if n >= 0]
        assert rows(item["wanted"]) == labels or not labels
        opinion = PitchTeacher().opinion(canvas)
        most = torch.maximum(opinion["clip"], opinion["windows"].amax(dim=0))
        assert torch.equal(item["heard"], most)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", differing.TASKS)
def test_what_is_wanted_of_a_pair_is_what_the_reference_has_not(
    store: Store, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    monkeypatch.setattr(claims, "ALONE", 0.0)
    monkeypatch.setattr(differing, "TASKS", {task: 1.0})
    data = scenes(store)
    for index in range(6):
        rng = np.random.default_rng((0, 61, index))
        rng.random()
        pair = data.differences.pair(rng)
        item = data[index]
        assert item["wanted"] is not None
        assert item["reference"] is not None
        found = rows(item["wanted"])
        if pair.rest is None:
            assert task == "nothing"
            assert found == []
            assert not item["heard"].any()  # type: ignore[union-attr]
            continue
        labels = [set(store.recordings[n].labels) for n, _, _ in pair.rest[1] if n >= 0]
        assert found == labels or not labels
        held = PitchTeacher().clip(pair.reference)
        assert all(held[KINDS[label]] < 0.02 for one in labels for label in one)


def test_where_no_label_tells_the_teacher_does(store: Store) -> None:
    data = scenes(store)
    opinion = {
        "clip": torch.zeros(len(KINDS)).half(),
        "windows": torch.zeros(3, len(KINDS)).half(),
    }
    opinion["windows"][1, KINDS["Rain"]] = 0.7
    assert rows(data.known([(-1, 0, 9)], opinion)["wanted"]) == [{"Rain"}]  # type: ignore[arg-type]
    opinion["windows"][1, KINDS["Rain"]] = 0.4
    assert rows(data.known([], opinion)["wanted"]) == []  # type: ignore[arg-type]
    opinion["weights"] = torch.ones(len(KINDS)).half()
    opinion["weights"][KINDS["Siren"]] = 0  # both hold it: it may be said, and need not
    assert data.known([], opinion)["heard"][KINDS["Siren"]] == 1  # type: ignore[index]


def test_scenes_come_as_the_events_that_the_model_is_left_with(
    store: Store, model: CaptionerModel
) -> None:
    data = scenes(store)
    left = Left(data, model, visits=1)
    seen = set()
    for index in range(6):
        sample, heard = data[index], left[index]
        clips = [one for one in (sample["input"], sample["reference"]) if one is not None]
        with torch.no_grad():
            encoded = model.encode_clips(clips)
            rows_ = torch.zeros(len(clips) - 1, dtype=torch.long)
            difference = model.compare(encoded[0], encoded[-1].take(rows_.tolist()), rows_)
        assert heard["compared"] == (sample["reference"] is not None)
        assert "reference" not in heard
        torch.testing.assert_close(heard["input"], difference.events[0])  # type: ignore[index]
        seen.add(bool(heard["compared"]))
    assert seen == {False, True}


def test_scenes_and_sentences_come_by_turns(store: Store, model: CaptionerModel) -> None:
    told = {"input": torch.ones(4, len(KINDS)), "tokens": torch.tensor([0, 7, 2]),
            "compared": torch.tensor(True)}  # fmt: skip
    data: Any = Claims(Left(scenes(store), model, visits=2), [told] * 3)  # type: ignore[arg-type]
    batch = collate([data[index] for index in range(6)])
    assert batch["scene"].tolist() == [True, False] * 3
    assert batch["tokens"][1::2].tolist() == [[0, 7, 2]] * 3
    assert (batch["tokens"][::2] == 1).all()  # padding
    assert batch["lengths"].tolist() == [18, 4] * 3
    assert not batch["wanted"][1::2].any()
    assert not batch["heard"][1::2].any()
    assert batch["heard"].dtype == torch.half
