"""Tracks: which recordings are of a kind, and that the teacher hears each once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.recordings import PITCHES, PitchTeacher, tone, tones, write
from training.samples import tracks
from training.samples.tracks import KINDS, LOUDEST, Tracks, certain
from training.scenes.store import Source, build


class CountingTeacher(PitchTeacher):
    def __init__(self, weight: float = 0.0) -> None:
        self.asked = 0
        self.encoder = SimpleNamespace(min_samples=3200)
        state = {"weight": torch.tensor(weight)}
        self.network = SimpleNamespace(state_dict=lambda: state)

    def track(self, samples: Any) -> torch.Tensor:
        self.asked += 1
        return self.clip(samples).repeat(len(samples) // 10_240, 1)


def track(**peaks: float) -> np.ndarray[Any, Any]:
    """[3, K]: each kind loudest in the middle."""
    found = np.zeros((3, len(KINDS)), np.float16)
    for kind, peak in peaks.items():
        found[:, KINDS[kind]] = [peak / 4, peak, peak / 4]
    return found


def test_a_kind_is_heard_where_the_teacher_is_sure_or_the_label_says_so() -> None:
    found = Tracks(
        [
            track(Bark=0.3, Rain=0.5),
            track(Bark=0.1),
            track(Bark=0.01),
            track(Bark=0.9, Dog=0.2, Rain=0.3),
        ],
        [6, 7, 8, 9],
        [("Bark",), ("Bark", "Can opening"), ("Bark",), ("Can opening",)],
    )
    assert found.by_kind == {"Bark": [0, 3], "Rain": [0]}
    assert found.recordings == {"Bark": [6]}
    rng = np.random.default_rng(0)
    heard = found.of("Rain", told("Rain"), rng)
    assert heard is not None
    assert heard[1, KINDS["Rain"]] == pytest.approx(0.5)
    assert found.of("Siren", told("Siren"), rng) is None


def told(*kinds: str) -> Any:
    found = np.zeros(len(KINDS), bool)
    found[[KINDS[kind] for kind in kinds]] = True
    return found


def test_of_a_recording_of_one_thing_alone_the_teacher_is_not_believed() -> None:
    """It takes crackling fires for hooves."""
    fire, labels = track(Fire=0.3, Horse=0.7), ("Fire",)
    found = Tracks([fire, fire], [0, 1], [labels, labels], alone={1})
    assert found.by_kind == {"Horse": [0], "Fire": [0, 1]}


def test_of_several_recordings_that_which_holds_least_of_what_is_not_told() -> None:
    found = Tracks(
        [track(Engine=0.6, Chainsaw=0.7), track(Engine=0.6)], [0, 1], [("Engine",), ("Engine",)]
    )
    rng = np.random.default_rng(0)

    def chainsaws(*kinds: str) -> float:
        drawn = [found.of("Engine", told(*kinds), rng) for _ in range(300)]
        return float(np.mean([one[1, KINDS["Chainsaw"]] > 0 for one in drawn if one is not None]))

    assert chainsaws("Engine") < 0.2  # seldom: where it is the only one drawn
    assert chainsaws("Engine", "Chainsaw") > 0.4  # as either is drawn


def test_what_is_above_a_label_is_certain() -> None:
    assert certain("Bark")[:2] == ["Bark", "Dog"]
    assert "Animal" in certain("Bark")
    assert "Bark" not in certain("Dog")
    assert "Can opening" in certain("Can opening", "Rain")
    assert "Yawn" not in certain("Yawn", "Rain")  # nobody recorded one
    assert len(certain("Bark", "Dog")) == len(set(certain("Bark", "Dog")))


def test_what_the_teacher_does_not_know_is_heard_as_it_is_loud(tmp_path: Path) -> None:
    samples = np.concatenate([tone("Bark", 0.64), tone("Bark", 0.64) / 4])
    source = Source(write(tmp_path / "can.wav", samples), "can", ("Can opening",), "group")
    store = build(tmp_path / "store", [source])
    found = tracks.build(tmp_path, store, [0], CountingTeacher())  # type: ignore[arg-type]
    can = found.tracks[0][:, KINDS["Can opening"]]
    assert can == pytest.approx([LOUDEST, LOUDEST, LOUDEST / 4, LOUDEST / 4], abs=1e-2)
    assert found.by_kind["Can opening"] == [0]


def test_the_teacher_hears_each_recording_once(tmp_path: Path) -> None:
    store, teacher = tones(tmp_path), CountingTeacher()
    first = tracks.build(tmp_path, store, range(len(store)), teacher)  # type: ignore[arg-type]
    assert teacher.asked == len(store)
    assert set(first.recordings) == set(PITCHES)
    again = tracks.build(tmp_path, store, range(len(store)), teacher)  # type: ignore[arg-type]
    assert teacher.asked == len(store)
    assert all(np.array_equal(a, b) for a, b in zip(first.tracks, again.tracks, strict=True))
    assert again.recordings == first.recordings
    other = CountingTeacher(weight=1.0)
    tracks.build(tmp_path, store, range(len(store)), other)  # type: ignore[arg-type]
    assert other.asked == len(store)


def test_what_is_too_short_for_a_frame_has_no_track(tmp_path: Path) -> None:
    short = Source(write(tmp_path / "s.wav", tone("Bark", 0.05)), "short", ("Bark",), "g")
    long = Source(write(tmp_path / "l.wav", tone("Bark")), "long", ("Bark",), "g")
    store = build(tmp_path / "store", [short, long])
    found = tracks.build(tmp_path, store, [0, 1], CountingTeacher())  # type: ignore[arg-type]
    assert found.recordings["Bark"] == [1]
