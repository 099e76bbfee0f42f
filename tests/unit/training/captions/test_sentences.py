"""Sentences whose sounds can be told from their words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.captions.naming import named, related
from training.captions.ontology import LABELS
from training.captions.sentences import (
    MANY,
    MOST_WORDS,
    NO_DIFFERENCE,
    NOTHING,
    SILENCE,
    ByKind,
    Sentence,
    ours,
    read_off,
)
from training.captions.sounds import mentions
from training.captions.wording import normalize_caption


def test_a_sentence_and_its_sounds_in_order_of_time() -> None:
    (found,) = read_off(["A dog barks, then rain falls."], "audiocaps")
    assert found.text == "a dog barks then rain falls"
    assert found.style == "audiocaps"
    first, second = found.groups
    assert "Bark" in first or "Dog" in first
    assert "Rain" in second
    assert found.sounds == {*first, *second}
    assert found.background == ()


def test_what_is_behind_is_one_of_the_sounds() -> None:
    (found,) = read_off(["A dog barks with rain in the background"], "clotho")
    assert set(found.background) <= found.sounds
    assert "Rain" in found.background


def test_what_cannot_be_told_is_left_out() -> None:
    long = " and ".join(["rain falls"] * (MOST_WORDS // 3 + 1))
    many = "a dog, a cat, a cow, a pig, a siren, a bell, an engine and rain"
    strange = "a zyx qwv blorps fnords with rain"
    nothing = "something is there"
    assert read_off([long, many, strange, nothing], "audiocaps") == []


def test_sounds_beyond_audiosets_are_told_too() -> None:
    (one,) = read_off(["a can is opened and rain falls"], "audiocaps")
    assert one.sounds == {"Can opening", "Rain"}


def test_sentences_of_ours_speak_of_their_kind() -> None:
    for one in ours():
        (kind,) = one.sounds
        assert kind in LABELS
        assert normalize_caption(one.text) == one.text
        assert any(related(label, kind) for label in named(one.text)), one.text


def test_our_own_sentences_name_no_sound() -> None:
    for text in (*SILENCE, *NO_DIFFERENCE, *NOTHING):
        named = {mention.label for mention in mentions(text)}
        assert named <= {"Noise", "Rustle", "Silence", "Rustling"}, text


def test_kinds_of_few_sentences_are_drawn_the_less_often() -> None:
    often = [Sentence(f"rain {n}", (("Rain",),), (), "clotho") for n in range(2 * MANY)]
    known = [Sentence(f"dog {n}", (("Dog",),), (), "clotho") for n in range(MANY)]
    rare = [Sentence("a gong", (("Gong",),), (), "clotho")]
    drawn = ByKind([*often, *known, *rare])
    rng = np.random.default_rng(0)
    counts = Counter(next(iter(drawn.draw(rng).sounds)) for _ in range(4000))
    assert counts["Rain"] / counts["Dog"] == pytest.approx(1, abs=0.1)
    assert counts["Gong"] / counts["Dog"] == pytest.approx(1 / MANY, abs=0.02)
