"""Explanations held against what is heard and measured."""

from __future__ import annotations

import pytest
import torch

from engine.explaining import UNSURE, Heard, checked, reading
from model.explanations import read
from model.measures import Measures

LABELS = ("Dog", "Bark", "Rain", "Siren", "Silence")
NOUNS = {"dog": ("Dog", "Bark"), "rain": ("Rain",), "siren": ("Siren",)}
FRAME_S = 0.5


def heard(*, level_db: float = -30.0, seconds: float = 4.0, **sounds: tuple[float, float]) -> Heard:
    """Each sound: how likely it is, and from which second on."""
    events = torch.zeros(8, len(LABELS))
    for label, (likely, start_s) in sounds.items():
        events[int(start_s / FRAME_S) :, LABELS.index(label)] = likely
    return Heard(events, Measures(level_db, 10.0, seconds, 1.0), LABELS, NOUNS, FRAME_S)


@pytest.fixture
def first() -> Heard:
    """A dog, and rain later; loud."""
    return heard(Bark=(0.8, 0.0), Rain=(0.3, 2.0), level_db=-25.0)


@pytest.fixture
def second() -> Heard:
    """A siren, longer."""
    return heard(Siren=(0.9, 0.0), Dog=(0.04, 0.0), seconds=5.5)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("the first has a dog, the second has a siren", None),
        ("the first has a dog and a siren, the second has rain and a siren",
         "the first has a dog, the second has a siren"),
        ("the second has a dog", "the first is louder, the second is longer, both are about as "
         "bright and busy"),
        ("the first has a dog and a dog, the first has a dog", "the first has a dog"),
        ("the first has a flurb, the first has rain", "the first has rain"),
        ("the first has rain, the first is much louder and longer", "the first has rain, the "
         "first is louder, the second is longer"),
        ("both are about as loud and bright", "both are about as bright, the first is louder"),
        ("the second is louder, the first is louder", "the first is louder"),
        ("the first is brighter. the second is brighter.", "both are about as bright."),
        ("the first has a dog. the first lasts about four seconds. in the first the dog is heard "
         "before the rain. the second has a siren. they have nothing in common. the second is "
         "longer.", None),
        ("the first has a dog. the first lasts about nine seconds. in the first the rain is heard "
         "before the dog. both are about as bright.", "the first has a dog. the first lasts about "
         "four seconds. both are about as bright."),
        ("the first has rain. and so on", "the first has rain."),
    ],
)  # fmt: skip
def test_what_is_not_so_is_put_right_where_it_is_measured_or_left_out(
    first: Heard, second: Heard, said: str, left: str | None
) -> None:
    found = checked(said, first, second)
    assert found == (said if left is None else left)
    assert None not in read(found)
    assert checked(found, first, second) == found


def test_nothing_in_common_is_held_against_what_was_said(first: Heard) -> None:
    said = "the first has a dog. the second has a dog. they have nothing in common."
    assert checked(said, first, first) == "the first has a dog. the second has a dog."
    both = "both have a dog. they have nothing in common."
    assert checked(both, first, first) == "both have a dog."
    unsaid = "the first has a dog. the second has a siren. they have nothing in common."
    assert checked(unsaid, first, first) == "the first has a dog."


def test_where_nothing_is_left_what_is_measured_is_said(first: Heard) -> None:
    assert checked("", first, first) == "both are about as loud and bright and long and busy"
    one = Heard(torch.zeros(2, 5), Measures(-20, 10.0, 2.0, 1.0), LABELS, NOUNS, FRAME_S)
    other = Heard(torch.zeros(2, 5), Measures(-22, 10.3, 2.3, 1.3), LABELS, NOUNS, FRAME_S)
    assert checked("the first has a dog, the second is louder", one, other) == UNSURE
    long = Heard(torch.zeros(2, 5), Measures(-22, 10.3, 99.0, 1.3), LABELS, NOUNS, FRAME_S)
    assert checked("the second lasts about nine seconds.", one, long) == "the second is much longer"


def test_a_reader_reads_whole_clauses_that_are_so(first: Heard, second: Heard) -> None:
    said = "the first has a dog and a siren. the second has rain. the second has a siren. the"
    read_: list[str] = []

    def reader(text: str) -> bool:
        read_.append(text)
        return True

    check = reading(reader, (first, second))
    assert check is not None
    for end in range(len(said)):
        assert check(said[:end])
    whole = checked(said, first, second)
    assert whole == "the first has a dog. the second has a siren."
    assert {*read_} == {"", "the first has a dog", "the first has a dog. the second has a siren"}
    assert all(whole.startswith(text) for text in read_)
    assert reading(None, (first, second)) is None
    assert reading(reader, None) is reader
