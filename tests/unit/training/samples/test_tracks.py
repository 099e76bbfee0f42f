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
from training.samples.tracks import KINDS, Tracks, certain
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
    assert found.recordings == {"Bark": [6, 7], "Can opening": [7, 9]}
    rng = np.random.default_rng(0)
    heard = found.of("Rain", rng)
    assert heard is not None
    assert heard[1, KINDS["Rain"]] == pytest.approx(0.5)
    assert found.of("Siren", rng) is None


def test_what_is_above_a_label_is_certain() -> None:
    assert certain("Bark")[:2] == ["Bark", "Dog"]
    assert "Animal" in certain("Bark")
    assert "Bark" not in certain("Dog")
    assert "Can opening" not in certain("Can opening", "Rain")
    assert len(certain("Bark", "Dog")) == len(set(certain("Bark", "Dog")))


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
