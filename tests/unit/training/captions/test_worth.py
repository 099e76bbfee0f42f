"""What captions are worth."""

from __future__ import annotations

import pytest

from training.captions.naming import Labels
from training.captions.worth import FALSE, FALSE_DIFFERENCE, REPEATED, UNTOLD, worth

DOG: Labels = ("Bark", "Dog")


@pytest.mark.parametrize(
    ("caption", "wanted", "heard", "found", "false", "untold"),
    [
        ("a dog barks", (DOG,), (), 1, 0, 0),
        ("a dog barks", (DOG, ("Rain",)), (), 1, 0, 0),
        ("a dog barks as rain falls", (DOG, ("Rain",)), (), 2, 0, 0),
        ("a dog barks as rain falls", (DOG,), (), 1, 1, 0),
        # What the teacher hears is hardly false, nor what is said of it in other words.
        ("a dog barks as rain falls", (DOG,), ("Rain",), 1, 0, 1),
        ("a dog barks as rain falls", (DOG,), ("Raindrop",), 1, 0, 1),
        # An animal is not wrong, but not enough.
        ("an animal makes noise", (DOG,), (), 0, 0, 0),
        ("a faint noise", (DOG,), (), 0, 0, 0),
        # Nothing is there.
        ("silence", (), (), 1, 0, 0),
        ("rain falls", (), (), 0, 1, 0),
        # Nobody knows what is there, but something is.
        ("silence", (), ("Rain",), 0, 0, 0),
        ("rain falls", (), ("Rain",), 0, 0, 1),
    ],
)
def test_a_caption_is_worth_what_is_so(
    caption: str, wanted: tuple[Labels, ...], heard: Labels, found: int, false: int, untold: int
) -> None:
    for compared, cost in ((False, FALSE), (True, FALSE_DIFFERENCE)):
        value = found - cost * false - UNTOLD * untold
        assert worth(caption, wanted, heard, compared=compared) == pytest.approx(value)


def test_to_say_a_word_twice_costs() -> None:
    said = worth("a dog barks and barks", (DOG,), (), compared=False)
    assert said == pytest.approx(1 - REPEATED)
    assert worth("a dog barks and a dog howls", (DOG,), (), compared=False) == 1  # short ones may


def test_a_clip_alone_differs_from_nothing() -> None:
    assert worth("there is no difference", (), (), compared=True) == 1
    assert worth("there is no difference", (), (), compared=False) == -1
