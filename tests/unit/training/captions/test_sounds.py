"""What sentences name: on sentences of our own wording."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from training.captions import sounds, wording
from training.captions.ontology import LABELS
from training.captions.sounds import (
    ESC50,
    Mention,
    mentions,
    names,
    only_known_sounds,
    understood,
)
from training.captions.wording import forms, normalize_caption

DATA = json.loads(Path(wording.__file__).with_name("sounds.json").read_text(encoding="utf-8"))

MAN = "Male speech, man speaking"
WOMAN = "Female speech, woman speaking"
CHILD = "Child speech, kid speaking"
HUBBUB = "Hubbub, speech noise, speech babble"
BIRDSONG = "Bird vocalization, bird call, bird song"
HORN = "Vehicle horn, car horn, honking"
REV = "Accelerating, revving, vroom"


def distinct(caption: str) -> list[str]:
    return list(dict.fromkeys(mention.label for mention in mentions(caption)))


def sections() -> Iterator[tuple[str, list[str]]]:
    """Every meaning of ``sounds.json`` and its phrases."""
    for theme in DATA["sounds"].values():
        yield from theme.items()
    yield from DATA["subjects"].items()
    for theme in DATA["actions"].values():
        yield from ((repr(action), action["words"]) for action in theme)
    yield from DATA["neutral"].items()


def readings(phrase: str) -> set[tuple[str, ...]]:
    """Every order-free reading of a listed phrase, one inflected word per column."""
    return {
        tuple(sorted(words))
        for words in itertools.product(*(forms(word) for word in phrase.split()))
    }


# The data file


def test_no_phrase_has_two_meanings_and_none_is_listed_twice() -> None:
    owners = Counter(
        reading for _, phrases in sections() for phrase in phrases for reading in readings(phrase)
    )
    doubled = {reading for reading, count in owners.items() if count > 1}
    for meaning, phrases in sections():
        read = Counter(reading for phrase in phrases for reading in readings(phrase))
        inner = {reading for reading, count in read.items() if count > 1}
        assert not inner, meaning
    assert not doubled


def test_a_phrase_that_holds_a_filler_would_never_match() -> None:
    for _, phrases in sections():
        for phrase in phrases:
            words = {form for word in phrase.split() for form in forms(word)}
            assert " " not in phrase or not words & set(DATA["fillers"]), phrase


def test_fillers_are_neutral() -> None:
    neutral = {reading for p in DATA["neutral"].values() for w in p for reading in readings(w)}
    assert {(filler,) for filler in DATA["fillers"]} <= neutral


def test_near_also_and_esc50_speak_of_labels() -> None:
    for group in [*DATA["near"], *DATA["also"].values(), *DATA["esc50"].values()]:
        assert len(set(group)) == len(group)
        assert set(group) <= set(LABELS)
    assert DATA["also"].keys() <= set(LABELS)


def test_each_listed_phrase_names_its_label() -> None:
    failures = [
        (label, phrase, named)
        for theme in DATA["sounds"].values()
        for label, phrases in theme.items()
        for phrase in phrases
        if label not in (named := distinct(" ".join(forms(w)[0] for w in phrase.split())))
    ]
    assert not failures


def nameable() -> set[str]:
    """The labels that some sentence names."""
    named = {label for theme in DATA["sounds"].values() for label in theme}
    for table in DATA["tables"].values():
        named.update(*(value if isinstance(value, list) else [value] for value in table.values()))
    for action in itertools.chain(*DATA["actions"].values()):
        values = [action.get("else", ""), *action.get("by", {}).values()]
        named.update(*(value if isinstance(value, list) else [value] for value in values))
    return named - {""}


def test_nearly_all_labels_can_be_named() -> None:
    assert len(nameable()) > 500
    assert {label for labels in ESC50.values() for label in labels} <= nameable()


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of the data for ``load`` to read."""
    changed = copy.deepcopy(DATA)
    monkeypatch.setattr(wording, "read", lambda: changed)
    return changed


def test_a_phrase_with_two_meanings_is_refused(data: Any) -> None:
    data["subjects"]["man"].append("siren")
    with pytest.raises(ValueError, match="'siren' has two meanings"):
        wording.load.__wrapped__()


@pytest.mark.parametrize("where", ["by", "plain", "else"])
def test_an_unknown_label_is_refused(data: Any, where: str) -> None:
    action = {"by": {"Unicorn": ""}, "plain": ["Unicorn"], "else": "Unicorn"}
    data["actions"]["voices"].append({"words": ["blether~"], where: action[where]})
    with pytest.raises(ValueError, match=r"'blether~' speaks of \['Unicorn'\]"):
        wording.load.__wrapped__()


# Words


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dog", {"dog", "dogs"}),
        ("fly", {"fly", "flies"}),
        ("bark~", {"bark", "barks", "barked", "barking"}),
        ("hum~", {"hum", "hums", "hummed", "humming"}),
        ("sneeze~", {"sneeze", "sneezes", "sneezed", "sneezing"}),
        ("cry~", {"cry", "cries", "cried", "crying"}),
        ("crow~", {"crow", "crows", "crowed", "crowing"}),
        ("brush~", {"brush", "brushes", "brushed", "brushing"}),
        ("taps!", {"taps"}),
    ],
)
def test_forms_are_those_of_regular_english(word: str, expected: set[str]) -> None:
    assert set(forms(word)) == expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog, barking!", "a dog barking"),
        ("  Rain   falls.\n", "rain falls"),
        ("High-pitched: it's a SIREN?", "highpitched its a siren"),
        ("...", ""),
    ],
)
def test_normalize_caption(caption: str, expected: str) -> None:
    assert normalize_caption(caption) == expected
    assert normalize_caption(expected) == expected


NAMED = [
    # People
    ("a man talks", [MAN]),
    ("an adult male is speaking", [MAN]),
    ("a woman says something", [WOMAN]),
    ("an adult female speaks", [WOMAN]),
    ("the woman's voice", [WOMAN]),
    ("a kid talks", [CHILD]),
    ("voices of small children", [CHILD]),
    ("somebody speaks", ["Speech"]),
    ("speech in the distance", ["Speech"]),
    ("people talk", ["Conversation"]),
    ("a crowd talks", ["Crowd", HUBBUB]),
    ("murmuring", [HUBBUB]),
    ("a man and a woman talk", [MAN, WOMAN]),
    ("a man, a woman and a child are speaking", [MAN, WOMAN, CHILD]),
    ("the voices of men and women", [MAN, WOMAN]),
    ("a man who sits in a car speaks", ["Car", MAN]),
    ("a man gives a speech", [MAN, "Narration, monologue"]),
    ("voices talk as a man snores", ["Speech", "Snoring"]),
    ("a man speaks and laughs", [MAN, "Laughter"]),
    ("a baby laughs", ["Baby laughter"]),
    ("an infant cries", ["Baby cry, infant cry"]),
    ("a woman is crying", ["Crying, sobbing"]),
    ("a woman sings", ["Female singing"]),
    ("she coughed and sneezed", ["Cough", "Sneeze"]),
    ("a man runs down the stairs", ["Run"]),
    ("someone walks in high heels", ["Walk, footsteps"]),
    ("a crowd claps and cheers", ["Crowd", "Applause", "Cheering"]),
    ("somebody claps", ["Clapping"]),
    ("a man in a room", []),
    # Verbs and their subjects
    ("a dog growls", ["Dog", "Growling"]),
    ("an engine growls", ["Engine"]),
    ("birds chirp", ["Bird", "Chirp, tweet"]),
    ("crickets chirp", ["Cricket"]),
    ("crickets and birds chirp", ["Cricket", "Bird", "Chirp, tweet"]),
    ("birds sing", ["Bird", BIRDSONG]),
    ("a rooster crows", ["Chicken, rooster", "Crowing, cock-a-doodle-doo"]),
    ("a crow caws", ["Crow", "Caw"]),
    ("a cat purrs", ["Cat", "Purr"]),
    ("an engine purrs", ["Engine"]),
    ("geese honk", ["Goose", "Honk"]),
    ("a train honks", ["Train", "Train horn"]),
    ("someone honks", [HORN]),
    ("ducks flap their wings", ["Duck", "Bird flight, flapping wings"]),
    ("a fly buzzes", ["Fly, housefly"]),
    ("a bee buzzes", ["Bee, wasp, etc.", "Buzz"]),
    ("a plane flies over", ["Fixed-wing aircraft, airplane"]),
    ("a man talks over a running engine", [MAN, "Engine"]),
    ("barking of several dogs", ["Bark", "Dog"]),
    ("a running tap", ["Water tap, faucet"]),
    ("someone taps on a table", ["Tap"]),
    ("rain taps the roof", ["Rain", "Rain on surface"]),
    ("the wind whistles", ["Wind"]),
    ("a man whistles", ["Whistling"]),
    ("a train whistles", ["Train", "Train whistle"]),
    ("a train blows its whistle", ["Train", "Train whistle"]),
    ("a kettle whistles", ["Kettle whistle"]),
    ("the referee blows a whistle", ["Whistle"]),
    ("a phone rings", ["Telephone", "Telephone bell ringing"]),
    ("a bell rings", ["Bell"]),
    ("an alarm rings", ["Alarm"]),
    ("a man rings a church bell", ["Church bell"]),
    ("the tires of a car squeal", ["Car", "Tire squeal"]),
    ("a pig squeals", ["Oink"]),
    ("a door squeaks", ["Door", "Squeak"]),
    ("a person hums", ["Humming"]),
    ("an electric hum", ["Mains hum"]),
    ("a machine hums", ["Mechanisms"]),
    # Vehicles and machines
    ("a car passes by", ["Car", "Car passing by"]),
    ("a truck drives past", ["Truck"]),
    ("a motorcycle engine revs", ["Motorcycle", "Engine", REV]),
    ("an engine starts", ["Engine", "Engine starting"]),
    ("an engine starts to rev", ["Engine", REV]),
    ("a train horn", ["Train horn"]),
    ("a truck horn", ["Air horn, truck horn"]),
    ("a ship blows its horn", ["Ship", "Foghorn"]),
    ("a police siren wails", ["Police car (siren)"]),
    ("a fire truck", ["Fire engine, fire truck (siren)"]),
    ("a fire burns", ["Fire"]),
    ("a gun is fired", ["Gunshot, gunfire"]),
    ("a vacuum cleaner runs", ["Vacuum cleaner"]),
    ("a sewing machine", ["Sewing machine"]),
    ("a clock ticks", ["Clock", "Tick"]),
    ("ticking", ["Tick"]),
    ("we saw a bus", ["Bus"]),
    ("clicking a computer mouse", ["Mouse click"]),
    ("a soda can is being opened", ["Can opening"]),
    ("a voice can be heard", ["Speech"]),
    # Water, weather and things
    ("water runs", ["Water"]),
    ("rain falls on a tin roof", ["Rain", "Rain on surface"]),
    ("wind blows into a microphone", ["Wind", "Wind noise (microphone)"]),
    ("leaves rustle", ["Rustling leaves"]),
    ("paper rustles", ["Rustle"]),
    ("waves crash", ["Waves, surf"]),
    ("a car crashes", ["Car", "Smash, crash"]),
    ("a glass breaks", ["Shatter"]),
    ("a glass of milk", []),
    ("pouring rain", ["Rain"]),
    ("someone pours a drink", ["Pour"]),
    ("a clap of thunder", ["Thunder"]),
    ("wood is chopped", ["Chop"]),
    ("vegetables are chopped", ["Chopping (food)"]),
    ("dishes clatter", ["Dishes, pots, and pans"]),
    # British and American
    ("an aeroplane, an airplane", ["Fixed-wing aircraft, airplane"]),
    ("a lorry with squealing tyres", ["Truck", "Tire squeal"]),
    # Denied, and too general
    ("no birds sing", []),
    ("a cat without a bell", ["Cat"]),
    ("a loud noise", []),
    ("something happens in the background", []),
]


@pytest.mark.parametrize(("caption", "expected"), NAMED, ids=[caption for caption, _ in NAMED])
def test_mentions(caption: str, expected: list[str]) -> None:
    assert distinct(caption) == expected


def test_case_and_punctuation_do_not_matter() -> None:
    assert mentions("A DOG barks.") == mentions("a dog barks")


def test_mentions_say_where() -> None:
    assert mentions("Loudly, a siren is wailing; then a dog...") == [
        Mention("Siren", 2, 3),
        Mention("Dog", 7, 8),
    ]


def test_a_phrase_spans_its_fillers_but_no_punctuation() -> None:
    assert mentions("the water of the tap") == [Mention("Water tap, faucet", 1, 5)]
    assert Mention("Water tap, faucet", 1, 4) not in mentions("the water, the tap")


def test_mentions_are_in_order_within_the_caption() -> None:
    for caption, _ in NAMED:
        found = mentions(caption)
        length = len(normalize_caption(caption).split())
        assert found == sorted(found, key=lambda mention: mention.start)
        assert all(0 <= mention.start < mention.end <= length for mention in found)


def test_nothing_is_named_by_nothing() -> None:
    for caption in ("", " ,."):
        assert mentions(caption) == []
        assert not only_known_sounds(caption)
        assert understood(caption) == 0


# Whether a caption names a label


@pytest.mark.parametrize(
    ("caption", "label", "named"),
    [
        ("a dog barks", "Bark", True),
        ("a dog barks", "Cat", False),
        # What it is a case of
        ("a car passes", "Vehicle", True),
        ("a dog barks", "Animal", True),
        ("a vehicle passes", "Truck", False),
        # The owner of a sound, not any parent
        ("a dog", "Bark", True),
        ("an animal", "Dog", False),
        ("speech", MAN, False),
        ("a train", "Train horn", False),
        ("an engine", "Idling", True),
        # Near synonyms, not those of what is more general
        ("a rooster", "Cluck", True),
        ("footsteps", "Run", True),
        ("a rooster", "Duck", False),
        ("an ambulance", "Siren", True),
        # A hiss may be a cat's, but does not tell of one
        ("hissing", "Cat", False),
        ("water splashes", "Water", True),
        ("splashing", "Water", True),
        ("water", "Splash, splatter", False),
        ("no dog", "Dog", False),
    ],
)
def test_names(caption: str, label: str, named: bool) -> None:
    assert names(caption, label) == named


def test_names_refuses_an_unknown_label() -> None:
    with pytest.raises(ValueError, match="unknown label 'Unicorn'"):
        names("a unicorn neighs", "Unicorn")


def test_a_label_is_named_where_it_is_mentioned() -> None:
    for caption, expected in NAMED:
        assert all(names(caption, label) for label in expected)


ESC50_CAPTIONS = {
    "dog": "a dog is barking",
    "rooster": "a rooster crows",
    "pig": "a pig oinks",
    "cow": "a cow moos",
    "frog": "a frog croaks",
    "cat": "a cat meows",
    "hen": "a hen clucks",
    "insects": "insects are buzzing",
    "sheep": "a sheep bleats",
    "crow": "crows are cawing",
    "rain": "it is raining",
    "sea_waves": "waves roll onto a beach",
    "crackling_fire": "a fire crackles",
    "crickets": "crickets sing at night",
    "chirping_birds": "birds are chirping",
    "water_drops": "water drips into a sink",
    "wind": "a strong wind blows",
    "pouring_water": "water is being poured",
    "toilet_flush": "a toilet is flushed",
    "thunderstorm": "thunder rolls",
    "crying_baby": "a baby cries",
    "sneezing": "someone sneezes",
    "clapping": "people clap their hands",
    "breathing": "someone breathes heavily",
    "coughing": "a man is coughing",
    "footsteps": "someone walks along a hallway",
    "laughing": "a man laughs",
    "brushing_teeth": "a man is brushing his teeth",
    "snoring": "someone snores",
    "drinking_sipping": "someone sips a drink",
    "door_wood_knock": "someone knocks on a door",
    "mouse_click": "a computer mouse clicks",
    "keyboard_typing": "someone types on a keyboard",
    "door_wood_creaks": "a door creaks open",
    "can_opening": "a can is opened",
    "washing_machine": "a washing machine is running",
    "vacuum_cleaner": "someone is vacuuming",
    "clock_alarm": "an alarm clock beeps",
    "clock_tick": "a clock ticks",
    "glass_breaking": "glass shatters",
    "helicopter": "a helicopter hovers",
    "chainsaw": "a chainsaw cuts a log",
    "siren": "a siren wails",
    "car_horn": "a car honks its horn",
    "engine": "an engine idles",
    "train": "a train passes by",
    "church_bells": "church bells toll",
    "airplane": "an airplane flies overhead",
    "fireworks": "fireworks explode",
    "hand_saw": "someone saws wood by hand",
}


@pytest.mark.parametrize("kind", ESC50)
def test_a_caption_of_a_class_of_esc50_names_it(kind: str) -> None:
    assert set(distinct(ESC50_CAPTIONS[kind])) & set(ESC50[kind])
    assert any(names(ESC50_CAPTIONS[kind], label) for label in ESC50[kind])


def test_esc50_has_the_classes_of_its_metadata(esc50_dir: Path) -> None:
    rows = (esc50_dir / "meta" / "esc50.csv").read_text(encoding="utf-8").splitlines()
    column = rows[0].split(",").index("category")
    assert {row.split(",")[column] for row in rows[1:]} == set(ESC50)


# Captions that can be rendered


@pytest.mark.parametrize(
    "caption",
    [
        "A dog barks.",
        "A large dog is barking loudly outdoors while it rains.",
        "Wind howls through the trees as thunder rumbles far away.",
        "Someone walks slowly across a room, then a door creaks open.",
        "The train sounds its horn as it passes by.",
        "A man speaks to a crowd while music plays.",
        "Water can be heard dripping into a bucket.",
        "As time goes on a clock keeps ticking.",
    ],
)
def test_only_known_sounds_accepts(caption: str) -> None:
    assert only_known_sounds(caption)
    assert understood(caption) == 1


@pytest.mark.parametrize(
    "caption",
    [
        "A dog barks at a zeppelin.",
        "Two dogs bark.",
        # Nobody is known to do it
        "A dog barks and something passes.",
        # Sounds that are denied, that end, or of which the writer is unsure
        "A dog barks and there are no birds.",
        "A dog barks without a pause.",
        "The rain stops.",
        "A dog is not barking.",
        "A dog or a cat is calling.",
        "Silence, then a dog barks.",
        # No sound at all
        "Someone is somewhere in a large house.",
    ],
)
def test_only_known_sounds_rejects(caption: str) -> None:
    assert not only_known_sounds(caption)


def test_understood_is_the_share_of_the_words_that_matter() -> None:
    assert understood("a dog barks at the zeppelin") == pytest.approx(2 / 3)
    assert understood("a zeppelin") == 0


def test_the_lexicon_is_compiled_once() -> None:
    assert wording.load() is wording.load()
    assert sounds.mentions("a dog") is not sounds.mentions("a dog")
