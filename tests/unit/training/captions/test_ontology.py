"""AudioSet's labels and their ancestors."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from training.captions import ontology
from training.captions.ontology import AUDIOSET, EXTRA, LABELS, children, expand, parents

SHARED = Path(__file__).parents[4].parent / "shared" / "data"
DATA = Path(os.environ.get("AUDIODIFF_DATA", SHARED))


def test_there_are_527_labels_in_the_order_of_the_class_indices() -> None:
    assert len(AUDIOSET) == len(set(AUDIOSET)) == 527
    assert {i: AUDIOSET[i] for i in (0, 74, 137, 300, 526)} == {
        0: "Speech",
        74: "Dog",
        137: "Music",
        300: "Vehicle",
        526: "Field recording",
    }
    assert AUDIOSET + EXTRA == LABELS
    assert len(set(LABELS)) == len(LABELS)


def test_parents_are_labels_and_children_are_their_inverse() -> None:
    for label in LABELS:
        for parent in parents(label):
            assert parent in AUDIOSET
            assert label in children(parent)
        for child in children(label):
            assert label in parents(child)


def test_no_label_is_its_own_ancestor() -> None:
    for label in LABELS:
        assert label not in expand(label)
        assert set(expand(label)) <= set(AUDIOSET)


@pytest.mark.parametrize(
    ("label", "ancestors"),
    [
        ("Speech", ()),
        ("Bark", ("Dog", "Domestic animals, pets", "Animal")),
        ("Train horn", ("Train", "Rail transport", "Vehicle")),
        ("Mouse click", ("Clicking",)),
        ("Gull, seagull", ("Bird", "Wild animals", "Animal")),
        # Two things at once: all parents hold, the nearest first
        (
            "Ambulance (siren)",
            ("Emergency vehicle", "Siren", "Motor vehicle (road)", "Alarm", "Vehicle"),
        ),
        ("Wind noise (microphone)", ("Wind",)),
        # One thing or another: only what they share
        ("Hiss", ()),
        ("Bleat", ("Livestock, farm animals, working animals", "Animal")),
        ("Growling", ("Animal",)),
        # Engines and crowds roar like lions, smoke alarms chirp like birds
        ("Roar", ()),
        ("Chirp, tweet", ()),
    ],
)
def test_expand(label: str, ancestors: tuple[str, ...]) -> None:
    assert expand(label) == ancestors


@pytest.mark.parametrize("function", [parents, children, expand])
def test_an_unknown_label_is_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="unknown label 'Unicorn'"):
        function("Unicorn")


def test_the_data_name_their_source_and_licence() -> None:
    path = Path(ontology.__file__).with_name("audioset.json")
    credit = json.loads(path.read_text(encoding="utf-8"))["credit"]
    assert "CC BY 4.0" in credit
    assert "CC BY-SA 4.0" in credit


def test_the_labels_are_those_of_audiosets_own_file() -> None:
    path = DATA / "audioset" / "class_labels_indices.csv"
    if not path.is_file():
        pytest.skip("AudioSet's labels are not at hand (set AUDIODIFF_DATA)")
    with path.open(encoding="utf-8", newline="") as file:
        assert tuple(row["display_name"] for row in csv.DictReader(file)) == AUDIOSET
