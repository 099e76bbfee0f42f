"""Scenes and what is known of them, what a model says of them, and sentences by turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, EventsConfig, MobileNetConfig
from tests.support.recordings import PitchTeacher, tones
from training.captions.tokenizer import tokenize, train_tokenizer
from training.captions.worth import UNTOLD
from training.samples import claims
from training.samples import differences as differing
from training.samples.canvases import Canvases
from training.samples.claims import Claims, Scenes, Told
from training.samples.collate import Sample, collate
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
    opinion["clip"][KINDS["Silence"]] = 0.9  # which is no sound
    silent = data.known([], opinion)
    assert rows(silent["wanted"]) == []  # type: ignore[arg-type]
    assert silent["heard"][KINDS["Silence"]] == 0  # type: ignore[index]
    opinion["weights"] = torch.ones(len(KINDS)).half()
    opinion["weights"][KINDS["Siren"]] = 0  # both hold it: it may be said, and need not
    assert data.known([], opinion)["heard"][KINDS["Siren"]] == 1  # type: ignore[index]


SEARCH = {"min_length": 3, "no_repeat_ngram_size": 2, "no_repeat_window": 2}
CAPTIONS = ("a dog barks", "rain falls", "silence", "no new sound is heard")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([*CAPTIONS] * 3, 300)


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> CaptionerModel:
    torch.manual_seed(0)
    return CaptionerModel(
        CaptionerConfig(
            encoder=MobileNetConfig(),
            events=EventsConfig(labels=tuple(KINDS)),
            decoder=BartDecoderConfig(
                vocab_size=len(tokenizer), width=16, layers=1, heads=2, ffn=16, max_positions=64
            ),
        )
    )


def test_scenes_come_as_what_the_model_is_left_with_and_says(
    store: Store, model: CaptionerModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    data = scenes(store)
    told = Told(data, model, tokenizer, visits=1, search=SEARCH)
    seen = set()
    for index in range(6):
        sample, heard = data[index], told[index]
        clips = [one for one in (sample["input"], sample["reference"]) if one is not None]
        with torch.no_grad():
            encoded = model.encode_clips(clips)
            rows_ = torch.zeros(len(clips) - 1, dtype=torch.long)
            difference = model.compare(encoded[0], encoded[-1].take(rows_.tolist()), rows_)
        assert heard["compared"] == (sample["reference"] is not None)
        assert "reference" not in heard
        torch.testing.assert_close(heard["input"], difference.events[0])  # type: ignore[index]
        assert len(heard["captions"]) == len(heard["worth"]) == 16  # type: ignore[arg-type]
        seen.add(bool(heard["compared"]))
    assert seen == {False, True}


def test_captions_are_worth_what_they_say(
    store: Store, model: CaptionerModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    told = Told(scenes(store), model, tokenizer, visits=1, search=SEARCH)
    wanted = torch.zeros(3, len(KINDS), dtype=torch.bool)
    wanted[0, [KINDS["Dog"], KINDS["Bark"]]] = True
    heard = torch.zeros(len(KINDS))
    heard[KINDS["Rain"]] = 0.3
    tokens = [tokenize(tokenizer, caption) for caption in CAPTIONS]
    tokens.append(tokens[0][:-1])  # cut
    captions = pad_sequence(tokens, batch_first=True, padding_value=1)
    found = told._worth(captions, {"wanted": wanted, "heard": heard}, False)
    assert found.tolist() == pytest.approx([1, -UNTOLD, 0, -1, claims.UNENDED])
    found = told._worth(captions[:1].expand(10, -1), {"wanted": wanted, "heard": heard}, False)
    assert found.tolist() == pytest.approx([1] * 8 + [1 - claims.DRAWN] * 2)


class Scene(Dataset[Sample]):
    """Always the same, of which two things were said."""

    def __init__(self, worth: tuple[float, float]) -> None:
        self.worth = torch.tensor(worth)

    def __getitem__(self, index: int) -> Sample:
        return {
            "input": torch.zeros(18, len(KINDS)),
            "compared": torch.tensor(False),
            "captions": torch.tensor([[0, 5, 2, 1], [0, 6, 6, 2]]),
            "worth": self.worth,
        }


SENTENCE = {"input": torch.ones(4, len(KINDS)), "tokens": torch.tensor([0, 7, 2]),
            "compared": torch.tensor(True)}  # fmt: skip


def test_scenes_and_sentences_come_by_turns() -> None:
    sentences: Any = [SENTENCE] * 2
    data: Any = Claims(Scene((1.0, -9.0)), sentences, seed=0)
    batch = collate([data[index] for index in range(6)])
    scene, told = [0, 5, 2], [0, 7, 2]
    assert batch["tokens"].tolist() == [scene, scene, told] * 2
    assert batch["lengths"].tolist() == [18, 18, 4] * 2
    assert batch["compared"].tolist() == [False, False, True] * 2


def test_the_better_a_caption_the_likelier_it_is_learned_from() -> None:
    sentences: Any = [SENTENCE] * 1000
    data = Claims(Scene((1.0, 1.0 - claims.SPREAD)), sentences, seed=3)
    drawn = [data[index]["tokens"] for index in range(2000) if index % 3 != 2]
    share = sum(len(tokens) == 3 for tokens in drawn if tokens is not None) / len(drawn)
    assert share == pytest.approx(torch.tensor(1.0).sigmoid().item(), abs=0.04)
    assert all(
        torch.equal(data[index]["tokens"], data[index]["tokens"])  # type: ignore[arg-type]
        for index in range(8)
    )
