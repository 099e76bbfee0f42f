"""Canvases, differences, sentences and rendered captions: functions of seed and index, and true.

The recordings are tones, one pitch per kind, and the teacher hears pitches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.recordings import PITCHES, PitchTeacher, kinds_in, tones
from training.captions.sentences import NO_DIFFERENCE, NOTHING, SILENCE, Sentence
from training.datasets.errors import DataError
from training.samples import differences as differing
from training.samples import rendered as rendering
from training.samples.canvases import FRAMES, KNOWN, LENGTH, Canvases
from training.samples.collate import collate
from training.samples.differences import Differences
from training.samples.rendered import Rendered
from training.samples.sentences import LEFT, Sentences
from training.samples.tracks import KINDS, Tracks
from training.scenes.algorithm1 import CONDITIONS
from training.scenes.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tones(tmp_path_factory.mktemp("tones"))


def canvases(store: Store, seed: int = 0, rate: int = 16_000, **more: Any) -> Canvases:
    teacher: Any = PitchTeacher()
    return Canvases(store, range(len(store)), teacher, sample_rate=rate, seed=seed, **more)


def equal(one: Any, two: Any) -> bool:
    return all(
        one[key] is two[key] or (one[key] is not None and torch.equal(one[key], two[key]))
        for key in one
    )


# Canvases ----------------------------------------------------------------------------------------


def test_a_canvas_is_decided_by_seed_and_index_alone(store: Store) -> None:
    first, second, other = canvases(store), canvases(store), canvases(store, seed=1)
    forwards = [first[i] for i in range(6)]
    assert all(map(equal, forwards, [second[i] for i in reversed(range(6))][::-1]))
    assert not any(equal(forwards[i], other[i]) for i in range(6))


@pytest.mark.parametrize("rate", [16_000, 32_000])
def test_canvases_have_one_length_and_what_the_teacher_says(store: Store, rate: int) -> None:
    data = canvases(store, rate=rate)
    batch = collate([data[i] for i in range(4)])
    assert batch["inputs"].shape == (4, LENGTH * rate // 32_000)
    assert batch["inputs"].dtype == torch.float32
    assert batch["clip"].shape == (4, len(KINDS))
    assert batch["windows"].shape == (4, FRAMES // 6, len(KINDS))
    assert batch["features"].shape == (4, 384)


def test_what_lies_on_a_canvas_is_what_the_teacher_is_asked_of(store: Store) -> None:
    data = canvases(store)
    for index in range(12):
        canvas, placed = data.canvas(np.random.default_rng((0, 11, index)))
        assert canvas.shape == (LENGTH,)
        assert torch.equal(data[index]["clip"], PitchTeacher().opinion(canvas)["clip"])
        for number, start, end in placed:
            assert 0 <= start < end <= LENGTH
            if number >= 0:
                assert store.recordings[number].labels[0] in kinds_in(
                    PitchTeacher().opinion(canvas)["clip"], 0.01
                )


def test_what_is_known_is_likely_where_it_lies(store: Store) -> None:
    """The teacher says the kind of none; "Dog" is known of the barks."""
    dog, barks = KINDS["Dog"], [n for n, r in enumerate(store.recordings) if "Bark" in r.labels]
    data = canvases(store, known={number: [dog] for number in barks})
    found = 0
    for index in range(40):
        _, placed = data.canvas(np.random.default_rng((0, 11, index)))
        spans = [(start, end) for number, start, end in placed if number in barks]
        item = data[index]
        assert item["clip"][dog] == pytest.approx(KNOWN * bool(spans), abs=1e-3)
        for row in range(FRAMES // 6):
            low, high = row * LENGTH // 3, (row + 1) * LENGTH // 3
            inside = max((min(end, high) - max(start, low) for start, end in spans), default=0)
            expected = KNOWN * (inside > LENGTH // FRAMES)
            assert item["windows"][row, dog] == pytest.approx(expected, abs=1e-3)
            found += expected > 0
    assert found > 5


def test_what_the_teacher_believes_in_is_made_likelier_where_it_does(store: Store) -> None:
    """A bark at the start, and later rain: the teacher hears both, and so does who knows."""
    bark, rain = (
        next(n for n, r in enumerate(store.recordings) if kind in r.labels)
        for kind in ("Bark", "Rain")
    )
    canvas = np.zeros(LENGTH, np.float32)
    canvas[:32_000] = 0.4 * store.samples(bark)[:32_000]
    canvas[-32_000:] = store.samples(rain)[:32_000]
    data = canvases(store, known={bark: [KINDS["Bark"]], rain: [KINDS["Siren"]]})
    taught = PitchTeacher().opinion(canvas)
    found = data.opinion(canvas, [(bark, 0, LENGTH), (rain, LENGTH - 32_000, LENGTH)])
    assert found["clip"][KINDS["Bark"]] == pytest.approx(KNOWN, abs=1e-3)
    # The first window is of the bark alone; in the others the teacher hears none.
    assert found["windows"][0, KINDS["Bark"]] >= KNOWN - 1e-3
    assert found["windows"][1:, KINDS["Bark"]].max() < 1e-3
    assert torch.equal(found["windows"][:, KINDS["Rain"]], taught["windows"][:, KINDS["Rain"]])
    # Of sirens it has no belief at all.
    assert found["windows"][:, KINDS["Siren"]].tolist() == pytest.approx([0, 0, KNOWN], abs=1e-3)


# Differences -------------------------------------------------------------------------------------


def only(monkeypatch: pytest.MonkeyPatch, module: Any, task: str) -> None:
    monkeypatch.setattr(module, "TASKS", {task: 1.0})


def original(data: Differences, index: int) -> tuple[Any, set[str]]:
    canvas, _ = data.canvases.canvas(np.random.default_rng((data.seed, 31, index)))
    return canvas, kinds_in(PitchTeacher().opinion(canvas)["clip"])


def test_a_difference_is_decided_by_seed_and_index_alone(store: Store) -> None:
    first, second = Differences(canvases(store), seed=3), Differences(canvases(store), seed=3)
    forwards = [first[i] for i in range(5)]
    assert all(map(equal, forwards, [second[i] for i in reversed(range(5))][::-1]))
    other = Differences(canvases(store), seed=4)
    assert not any(equal(forwards[i], other[i]) for i in range(5))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_rest_of_a_mixture_is_the_original(
    store: Store, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    only(monkeypatch, differing, "difference")
    monkeypatch.setattr(differing, "SHARES", {condition: 1.0})
    data = Differences(canvases(store), seed=0)
    for index in range(6):
        item = data[index]
        canvas, kinds = original(data, index)
        expected = PitchTeacher().opinion(canvas)
        assert torch.equal(item["clip"], expected["clip"])
        assert torch.equal(item["windows"], expected["windows"])
        if kinds:  # the rest and the reference share none: Algorithm 1 avoids it
            assert item["weights"].min() == 1 or not kinds - kinds_in(1 - item["weights"])


def test_inversely_the_rest_is_what_was_added(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, differing, "inverse")
    data = Differences(canvases(store), seed=0)
    for index in range(8):
        item = data[index]
        _, kinds = original(data, index)
        added = kinds_in(item["clip"], 0.2)
        assert added
        assert not added & kinds


def test_what_is_known_of_what_was_added_is_in_what_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, differing, "inverse")
    can = KINDS["Can opening"]
    data = Differences(canvases(store, known={n: [can] for n in range(len(store))}), seed=0)
    for index in range(4):
        item = data[index]
        assert item["clip"][can] == pytest.approx(KNOWN, abs=1e-3)
        assert item["windows"][:, can].max() == pytest.approx(KNOWN, abs=1e-3)


def test_where_the_reference_holds_all_nothing_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, differing, "nothing")
    data = Differences(canvases(store), seed=0)
    for index in range(4):
        item = data[index]
        assert not item["clip"].any()
        assert not item["windows"].any()
        assert (item["weights"] == 1).all()


def test_of_silence_all_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, differing, "silent")
    data = Differences(canvases(store), seed=0)
    for index in range(4):
        item = data[index]
        canvas, _ = original(data, index)
        assert item["reference"].square().mean() < 1e-9
        assert torch.equal(item["clip"], PitchTeacher().opinion(canvas)["clip"])
        assert (item["weights"] == 1).all()


def test_nothing_is_added_that_is_a_case_of_what_is_there(store: Store) -> None:
    data = Differences(canvases(store), seed=0)
    rng = np.random.default_rng(0)
    added = {data.recording(rng, {"Dog", "Rain on surface"})[1].kind for _ in range(60)}
    assert added == set(PITCHES) - {"Bark", "Rain"}
    with pytest.raises(DataError, match="too few kinds"):
        data.recording(rng, set(PITCHES))


def test_what_both_hold_is_left_out_of_the_loss(store: Store) -> None:
    data = Differences(canvases(store), seed=0)
    both = np.zeros(LENGTH, np.float32)
    both[:32_000] = store.samples(0)[:32_000]
    target = data.target((both, ()), both)
    assert kinds_in(1 - target["weights"]) == {store.recordings[0].labels[0]}
    assert int((target["weights"] == 0).sum()) == 1


# Sentences ---------------------------------------------------------------------------------------

TOLD = [
    Sentence("a dog barks then it rains", (("Bark",), ("Rain",)), (), "audiocaps"),
    Sentence("a cat meows as a bell rings", (("Meow", "Church bell"),), (), "audiocaps"),
    Sentence("a siren with a cough far away", (("Siren", "Cough"),), ("Cough",), "clotho"),
]
SHARES = {"audiocaps": 0.5, "clotho": 0.5}


class Tokens:
    """Makes numbers of texts, and texts of numbers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, text: str, style: str) -> Tensor:
        self.said.append((text, style))
        return torch.tensor([0, len(self.said) - 1, 2])

    def text(self, tokens: Tensor) -> str:
        return self.said[int(tokens[1])][0]


@pytest.fixture(scope="module")
def tracks(store: Store) -> Tracks:
    """Each kind is heard in its recordings throughout, nothing else is."""
    made = []
    for recording in store.recordings:
        made.append(np.zeros((5, len(KINDS)), np.float16))
        made[-1][:, KINDS[recording.labels[0]]] = 0.9
    return Tracks(made, range(len(store)), [r.labels for r in store.recordings])


def telling(tracks: Tracks, seed: int = 0) -> tuple[Sentences, Tokens]:
    tokens = Tokens()
    return Sentences(TOLD, tracks, tokens, seed=seed, shares=SHARES), tokens


def test_a_sentence_is_decided_by_seed_and_index_alone(tracks: Tracks) -> None:
    (first, _), (second, _), (other, _) = telling(tracks), telling(tracks), telling(tracks, 1)
    for index in range(10):
        one, two = first[index], second[index]
        assert torch.equal(one["input"], two["input"])
        assert one["compared"] == two["compared"]
    assert any(first[i]["input"].shape != other[i]["input"].shape for i in range(10))


def test_every_sound_of_a_sentence_is_in_its_events_in_order(tracks: Tracks) -> None:
    data, tokens = telling(tracks)
    seen = set()
    for index in range(120):
        item = data[index]
        events = item["input"]
        assert events.shape[1] == len(KINDS)
        assert 0 <= float(events.min()) <= float(events.max()) <= 1
        text = tokens.text(item["tokens"])
        for sentence in TOLD:
            if sentence.text != text:
                continue
            seen.add(text)
            peaks = events.amax(dim=0)
            assert all(peaks[KINDS[kind]] > 0.002 for kind in sentence.sounds)
        if text == TOLD[0].text:
            bark, rain = (events[:, KINDS[kind]] > 0.002 for kind in ("Bark", "Rain"))
            assert bark.nonzero().max() <= rain.nonzero().min()
    assert seen == {sentence.text for sentence in TOLD}


def test_next_to_nothing_is_told_as_such(tracks: Tracks) -> None:
    data, tokens = telling(tracks)
    own = {sentence.text for sentence in TOLD}
    said = []
    for index in range(400):
        item = data[index]
        text = tokens.text(item["tokens"])
        if text not in own:
            said.append(text)
            assert text in (NO_DIFFERENCE if item["compared"] else (*SILENCE, *NOTHING))
            most = LEFT + 0.01 if item["compared"] else 0.2
            assert item["input"][:, [KINDS[kind] for kind in PITCHES]].max() < most
    assert 5 < len(said) < 50


def test_a_style_without_sentences_is_left_out(tracks: Tracks) -> None:
    tokens = Tokens()
    data = Sentences(TOLD[:2], tracks, tokens, seed=0, shares=SHARES)
    for index in range(20):
        data[index]
    assert {style for _, style in tokens.said} == {"audiocaps"}
    with pytest.raises(ValueError, match="no sentence"):
        Sentences([], tracks, tokens, seed=0, shares=SHARES)


# Rendered ----------------------------------------------------------------------------------------


def rendered(store: Store, tracks: Tracks) -> tuple[Rendered, Tokens]:
    tokens = Tokens()
    pairs = Differences(canvases(store), seed=0)
    return Rendered(TOLD, tracks.recordings, pairs, tokens, seed=0), tokens


def test_a_rendered_sample_is_decided_by_seed_and_index_alone(store: Store, tracks: Tracks) -> None:
    (first, told), (second, again) = rendered(store, tracks), rendered(store, tracks)
    for index in range(8):
        one, two = first[index], second[index]
        assert told.text(one.pop("tokens")) == again.text(two.pop("tokens"))
        assert equal(one, two)


@pytest.mark.parametrize("task", ["plain", "difference", "inverse", "unrelated", "silent"])
def test_what_the_sentence_says_is_in_the_input(
    store: Store, tracks: Tracks, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    only(monkeypatch, rendering, task)
    monkeypatch.setattr("training.samples.canvases.degrade", lambda samples, *_: samples)
    data, tokens = rendered(store, tracks)
    for index in range(6):
        item = data[index]
        assert (item["reference"] is None) == (task == "plain")
        (sentence,) = [one for one in TOLD if one.text == tokens.text(item["tokens"])]
        heard = np.repeat(item["input"].numpy(), 2)[:LENGTH]  # images of tones lie far above
        found = kinds_in(PitchTeacher.clip(np.asarray(heard)), 0.002)
        assert sentence.sounds - {"Cough"} <= found  # its pitch is above what 16 kHz hold


def test_where_nothing_is_left_the_caption_says_so(
    store: Store, tracks: Tracks, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, rendering, "nothing")
    data, tokens = rendered(store, tracks)
    assert all(tokens.text(data[i]["tokens"]) in NO_DIFFERENCE for i in range(4))


def test_silence_is_told_as_such(
    store: Store, tracks: Tracks, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, rendering, "silence")
    data, tokens = rendered(store, tracks)
    for index in range(6):
        item = data[index]
        assert item["reference"] is None
        assert tokens.text(item["tokens"]) in (*SILENCE, *NOTHING)
        assert item["input"].square().mean() < 10**-5.5


def test_a_sentence_without_recordings_is_not_rendered(store: Store, tracks: Tracks) -> None:
    few = {kind: numbers for kind, numbers in tracks.recordings.items() if kind != "Rain"}
    pairs = Differences(canvases(store), seed=0)
    data = Rendered(TOLD, few, pairs, Tokens(), seed=0)
    assert data.sentences == TOLD[1:]
    with pytest.raises(ValueError, match="no sentence"):
        Rendered(TOLD[:1], few, pairs, Tokens(), seed=0)


def test_a_batch_of_mixed_tasks(store: Store, tracks: Tracks) -> None:
    data, _ = rendered(store, tracks)
    batch = collate([data[i] for i in range(6)])
    assert batch["inputs"].shape == (6, LENGTH // 2)
    assert len(batch["references"]) == len(batch["reference_of"])
