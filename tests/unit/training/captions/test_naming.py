"""What captions name, of what they should and should not."""

from __future__ import annotations

import pytest

from training.captions.naming import Labels, Naming, apart, named, rates, related, says
from training.captions.sounds import ESC50

DOG, CAT, RAIN = ESC50["dog"], ESC50["cat"], ESC50["rain"]
BOTH = "a dog barks and a cat meows"


def naming(caption: str, *wanted: Labels, unwanted: tuple[Labels, ...] = ()) -> Naming:
    return Naming(named(caption), wanted, unwanted)


def test_labels_are_named_once_in_the_order_of_the_words() -> None:
    assert named("a cat meows, a dog barks and a cat meows") == ("Cat", "Meow", "Dog", "Bark")
    assert named("there is no difference") == ()


def test_right_and_leaks() -> None:
    assert naming(BOTH, DOG).right
    assert not naming("a cat meows", DOG).right
    assert naming("there is no difference").right
    assert not naming("a dog barks").right
    assert not naming("a dog barks", DOG, CAT).right
    assert naming(BOTH, DOG, unwanted=(CAT,)).leaks
    assert not naming("a dog barks", DOG, unwanted=(CAT,)).leaks
    assert not naming("a dog barks", DOG).leaks


def test_any_label_of_a_sound_will_do() -> None:
    assert naming("a man speaks", ("Conversation", "Speech")).right
    assert not naming("a man speaks", ("Child speech, kid speaking",)).right


def test_a_label_that_names_what_is_wanted_does_not_leak() -> None:
    hen, rooster = ESC50["hen"], ESC50["rooster"]
    assert not naming("a chicken clucks", hen, unwanted=(rooster,)).leaks
    assert naming("a chicken clucks", DOG, unwanted=(rooster,)).leaks


def test_false_are_sounds_that_are_not_there_and_none_counts_twice() -> None:
    assert naming(BOTH, DOG).false == 1  # Cat and Meow are one
    assert naming(BOTH, DOG, unwanted=(CAT,)).false == 0
    assert naming(f"{BOTH} while rain falls", ("Siren",)).false == 3
    assert naming("a man speaks", ("Speech",)).false == 0
    assert naming("somebody is speaking", ("Male speech, man speaking",)).false == 0
    assert naming("a woman speaks", ("Male speech, man speaking",)).false == 1


def test_relatives() -> None:
    assert says("Bark", "Dog")
    assert not says("Animal", "Dog")
    assert related("Animal", "Dog")
    assert related("Dog", "Animal")
    assert related("Hiss", "Cat")  # an alternative
    assert not related("Male speech, man speaking", "Female speech, woman speaking")
    assert apart(DOG, RAIN)
    assert not apart(ESC50["hen"], ESC50["rooster"])


def test_rates_are_per_wanted_sound_and_per_caption() -> None:
    namings = [
        naming(BOTH, DOG, unwanted=(CAT,)),  # leaks
        naming(f"{BOTH} while rain falls", DOG, ESC50["siren"]),  # cat and rain are false
        naming("something", unwanted=(CAT,)),
    ]
    assert rates(namings) == {
        "leak": pytest.approx(1 / 3),
        "false": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
    }
    assert rates(namings[2:]) == {"leak": 0, "false": 0}
