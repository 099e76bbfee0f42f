"""When sounds are heard: on sentences of our own wording."""

from __future__ import annotations

import pytest

from training.captions.layout import Layout, layout
from training.captions.sounds import mentions

MAN = "Male speech, man speaking"


@pytest.mark.parametrize(
    ("caption", "groups"),
    [
        ("a siren wails while thunder rolls", [{"Siren", "Thunder"}]),
        ("a siren wails and a clock strikes", [{"Siren", "Clock", "Chime"}]),
        ("rain with thunder", [{"Rain", "Thunder"}]),
        ("a siren wails, rain falls", [{"Siren", "Rain"}]),
        ("applause followed by a siren", [{"Applause"}, {"Siren"}]),
        ("a siren wails and then it rains", [{"Siren"}, {"Rain"}]),
        ("a siren wails before it rains", [{"Siren"}, {"Rain"}]),
        ("a siren wails after which it rains", [{"Siren"}, {"Rain"}]),
        ("a siren wails and after a while it rains", [{"Siren"}, {"Rain"}]),
        ("a siren wails after applause", [{"Applause"}, {"Siren"}]),
        ("a siren wails following applause", [{"Applause"}, {"Siren"}]),
        ("After a siren wails, it rains", [{"Siren"}, {"Rain"}]),
        ("after a dog barks a siren wails", [{"Dog", "Bark"}, {"Siren"}]),
        ("After applause and laughter, it rains", [{"Applause", "Laughter"}, {"Rain"}]),
        ("Before it rains, a siren wails", [{"Siren"}, {"Rain"}]),
        ("a man speaks then laughs then coughs", [{MAN}, {"Laughter"}, {"Cough"}]),
        ("a siren wails while it rains and then applause", [{"Siren", "Rain"}, {"Applause"}]),
        ("the wind howls now and then while it rains", [{"Wind", "Rain"}]),
        ("a siren wails then another siren wails", [{"Siren"}]),
        ("then a siren wails", [{"Siren"}]),
    ],
)
def test_layout_follows_the_words_of_time(caption: str, groups: list[set[str]]) -> None:
    assert [set(group) for group in layout(caption).groups] == groups


@pytest.mark.parametrize(
    ("caption", "background"),
    [
        ("a siren wails", ()),
        ("a siren wails with applause in the background", ("Applause",)),
        ("a siren wails as a train passes by in the distance", ("Train",)),
        ("in the background rain falls while a siren wails", ("Rain",)),
        ("a siren wails in front of a background of rain", ("Rain",)),
        ("a siren wails during distant thunder", ("Thunder",)),
        # What one thing is told by goes together
        ("a siren wails and birds chirp in the background", ("Bird", "Chirp, tweet")),
        ("a man speaks while an engine idles in the background", ("Engine", "Idling")),
    ],
)
def test_layout_finds_the_background(caption: str, background: tuple[str, ...]) -> None:
    assert layout(caption).background == background


def test_layout_holds_each_named_label_once() -> None:
    for caption in (
        "a man and a woman talk, then the man laughs while a woman talks",
        "crickets and birds chirp before an owl hoots and the birds chirp again",
    ):
        heard = [label for group in layout(caption).groups for label in group]
        assert sorted(heard) == sorted({mention.label for mention in mentions(caption)})
        assert len(heard) > 2


@pytest.mark.parametrize("caption", ["", " ,.", "a man in a room"])
def test_where_nothing_is_named_nothing_is_heard(caption: str) -> None:
    assert layout(caption) == Layout((), ())
