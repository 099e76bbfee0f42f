"""What is said of edits, and what is read of it again."""

from __future__ import annotations

import pytest

from model.changes import KINDS, NOTHING, OPPOSITES, Change, read
from training.captions import edits
from training.captions.edits import EVERYTHING, Edit, Noun, noun, sentence
from training.captions.naming import named, says
from training.captions.ontology import LABELS

RAIN, DOG, STEPS = (noun(label) for label in ("Rain", "Bark", "Walk, footsteps"))


@pytest.mark.parametrize(
    ("made", "stated", "ordered"),
    [
        ([Edit("added", DOG)], "a barking dog is added", "add a barking dog"),
        ([Edit("removed", RAIN)], "the rain is removed", "remove the rain"),
        ([Edit("louder", STEPS)], "the footsteps are louder", "make the footsteps louder"),
        ([Edit("quieter", EVERYTHING)], "everything is quieter", "make everything quieter"),
        ([Edit("different", DOG)], "the barking dog is different", "change the barking dog"),
        ([Edit("later", STEPS)], "the footsteps are later", "move the footsteps later"),
        (
            [Edit("louder", RAIN), Edit("added", STEPS)],
            "footsteps are added and the rain is louder",
            "add footsteps and make the rain louder",
        ),
        ([], "nothing has changed", "change nothing"),
    ],
)
def test_sentences_say_what_was_done(made: list[Edit], stated: str, ordered: str) -> None:
    assert sentence(made) == stated
    assert sentence(made, "imperative") == ordered


@pytest.mark.parametrize("style", ["statement", "imperative"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_read_again(kind: str, style: str) -> None:
    made = [Edit(kind, STEPS), Edit("removed", DOG), Edit("louder", EVERYTHING)]
    found = {(change.kind, change.sound) for change in read(sentence(made, style))}
    assert found == {(kind, "footsteps"), ("removed", "barking dog"), ("louder", "everything")}


@pytest.mark.parametrize("text", [*NOTHING.values(), ""])
def test_nothing_has_changed(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize("text", ["rain", "rain is heard", "is added"])
def test_a_clause_of_another_form_says_that_something_is_different(text: str) -> None:
    assert read(text) == (Change("different", text),)


def test_it_does_not_hide_the_other() -> None:
    told = (Change("different", "a dog barks"), Change("louder", "rain"))
    assert read("a dog barks and the rain is louder") == told


def test_the_order_of_edits_does_not_change_what_is_said() -> None:
    made = [Edit("added", DOG), Edit("removed", RAIN), Edit("added", STEPS)]
    assert sentence(made) == sentence(made[::-1])


def test_an_edit_taken_back_twice_is_the_edit() -> None:
    for kind in KINDS:
        assert Edit(kind, DOG).inverse.inverse == Edit(kind, DOG)
        assert OPPOSITES[OPPOSITES[kind]] == kind


def test_every_noun_names_its_label_and_can_be_read() -> None:
    found = {label: noun(label) for label in LABELS}
    nouns = {one for one in found.values() if one is not None}
    assert len(nouns) > 200
    for one in nouns:
        assert any(says(label, one.label) for label in named(one.text)), one
        for kind in KINDS:
            (change,) = read(sentence([Edit(kind, one)]))
            assert change.kind == kind
            assert one.text.endswith(change.sound)
    assert edits.steady() <= edits.backgrounds() <= {one.label for one in nouns}


def test_a_case_is_called_as_what_it_is_a_case_of() -> None:
    called = noun("Snare drum"), noun("Rimshot")
    assert called[0] == Noun("Snare drum", "a snare drum", plural=False)
    assert called[1] is not None
    assert called[1].label in ("Snare drum", "Drum")
    assert noun("Silence") is None
    assert Noun("Ocean", "the ocean", plural=False).known == "the ocean"
