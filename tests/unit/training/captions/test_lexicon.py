"""What sentences name, and when: on sentences of our own wording."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from training.captions import grammar, lexicon
from training.captions.kinds import ESC50, KINDS
from training.captions.lexicon import (
    Layout,
    Mention,
    forms,
    kinds_named,
    layout,
    normalize_caption,
    only_known_sounds,
)

DATA = json.loads(Path(lexicon.__file__).with_name("lexicon.json").read_text(encoding="utf-8"))


def distinct_kinds(caption: str) -> list[str]:
    return list(dict.fromkeys(mention.kind for mention in kinds_named(caption)))


def inflected(phrase: str) -> set[tuple[str, ...]]:
    """Every order-free reading of a listed phrase, one inflected word per column."""
    readings: list[tuple[str, ...]] = [()]
    for word in phrase.split():
        readings = [(*reading, form) for reading in readings for form in forms(word)]
    return {tuple(sorted(reading)) for reading in readings}


# The data file


def test_every_kind_has_an_entry() -> None:
    assert tuple(DATA["kinds"]) == KINDS
    assert all(entry["names"] for entry in DATA["kinds"].values())


def test_no_phrase_belongs_to_two_entries_and_no_neutral_word_names_a_sound() -> None:
    owners: Counter[tuple[str, ...]] = Counter()
    sections = [entry["names"] for entry in (DATA["kinds"] | DATA["others"]).values()]
    for listed in [*sections, DATA["neutral"]]:
        owners.update({reading for phrase in listed for reading in inflected(phrase)})
    assert [reading for reading, count in owners.items() if count > 1] == []


def test_no_entry_lists_a_phrase_twice() -> None:
    for entry in (DATA["kinds"] | DATA["others"]).values():
        for listed in entry.values():
            assert len(listed) == len(set(listed))


def test_a_phrase_that_holds_a_filler_would_never_match() -> None:
    for listed in [e["names"] for e in (DATA["kinds"] | DATA["others"]).values()]:
        for phrase in listed:
            words = phrase.replace("~", "").split()
            assert len(words) == 1 or not set(words) & set(DATA["fillers"]), phrase


@pytest.mark.parametrize("kind", KINDS)
def test_each_listed_phrase_names_its_kind_and_no_other(kind: str) -> None:
    for phrase in DATA["kinds"][kind]["names"]:
        assert distinct_kinds(phrase.replace("~", "")) == [kind], phrase


@pytest.mark.parametrize("kind", KINDS)
def test_each_clause_of_the_grammar_names_its_kind_and_no_other(kind: str) -> None:
    for clause in grammar.clauses(kind):
        for text in clause:
            assert distinct_kinds(text) == [kind], text


def test_two_kinds_never_claim_each_others_names() -> None:
    single = {
        kind: {form for name in entry["names"] if " " not in name for form in forms(name)}
        for kind, entry in DATA["kinds"].items()
    }
    does = {
        kind: {form for word in entry["does"] for form in forms(word)}
        for kind, entry in DATA["kinds"].items()
    }
    for a in KINDS:
        for b in KINDS:
            assert a == b or not (single[a] & does[b] and single[b] & does[a]), (a, b)


def test_a_phrase_under_two_kinds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.loads(json.dumps(DATA))
    data["kinds"]["cat"]["names"].append("bark~")
    (tmp_path / "lexicon.json").write_text(json.dumps(data), encoding="utf-8")
    monkeypatch.setattr(lexicon, "__file__", str(tmp_path / "lexicon.py"))
    with pytest.raises(ValueError, match="'bark' names two kinds"):
        lexicon._lexicon.__wrapped__()


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
        ("roar~", {"roar", "roars", "roared", "roaring"}),
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
    # A word or its verb
    ("a puppy yaps at the gate", ["dog"]),
    ("something meowed", ["cat"]),
    ("bleating across the hill", ["sheep"]),
    ("mooing in the barn", ["cow"]),
    ("oinks and grunts", ["pig"]),
    ("a toad croaks by the pond", ["frog"]),
    ("a hive with bees buzzing in it", ["insects"]),
    ("loud buzzing from a fly", []),
    ("a fly is buzzing at the lamp", ["insects"]),
    ("she sneezed", ["sneezing"]),
    ("laughter fills the hall", ["laughing"]),
    ("applause from an audience", ["clapping"]),
    ("he is brushing his teeth", ["brushing_teeth"]),
    ("brushing the floor", []),
    ("someone sips hot tea", ["drinking_sipping"]),
    ("fingers type on a keyboard", ["keyboard_typing"]),
    ("several types of machines", []),
    ("clicking a computer mouse", ["mouse_click"]),
    ("something clicks", []),
    ("a soda can is being opened", ["can_opening"]),
    ("a voice can be heard in the open", []),
    ("a vacuum cleaner in the next room", ["vacuum_cleaner"]),
    ("the washing machine spins", ["washing_machine"]),
    ("the machine is washing", ["washing_machine"]),
    ("the toilet was flushed", ["toilet_flush"]),
    ("a window shatters", ["glass_breaking"]),
    ("a glass of milk", []),
    ("a chain saw cuts through a trunk", ["chainsaw"]),
    ("someone cuts wood with a hand saw", ["hand_saw"]),
    ("we saw a bus", []),
    ("an aeroplane above", ["airplane"]),
    ("a helicopter hovers", ["helicopter"]),
    ("firecrackers go off", ["fireworks"]),
    ("someone walked by in high heels", ["footsteps"]),
    ("people are running down the stairs", ["footsteps"]),
    ("a phone rings", ["telephone_ring"]),
    ("talking on the phone", []),
    ("radio static", ["white_noise"]),
    ("a ball is bouncing", ["bouncing_ball"]),
    ("the ball", []),
    ("a geiger counter clicks", ["geiger_counter"]),
    # Too general to name anything
    ("a loud noise", []),
    ("water", []),
    ("an animal makes a sound", []),
    ("a clock on the wall and a door", []),
    # Longest phrase first, and words that another kind takes for itself
    ("a rooster crows", ["rooster"]),
    ("a rooster loudly crows and a crow caws", ["rooster", "crow"]),
    ("a crow on the fence", ["crow"]),
    ("crickets chirp", ["crickets"]),
    ("crickets are heard chirping", ["crickets"]),
    ("crickets and birds chirp", ["crickets", "chirping_birds"]),
    ("something chirps", ["chirping_birds"]),
    ("birds chirp, insects buzz", ["chirping_birds", "insects"]),
    ("insects are chirping", ["crickets"]),
    ("seagulls chirp", []),
    ("geese honk", []),
    ("a car horn", ["car_horn"]),
    ("a train horn", ["train"]),
    ("a train passes and blows its horn", ["train"]),
    ("a train passes and a car horn honks", ["train", "car_horn"]),
    ("a train passes while a horn honks", ["train", "car_horn"]),
    ("the foghorn of a ship", []),
    ("an airplane engine", ["airplane"]),
    ("a car engine", ["engine"]),
    ("an engine hums", ["engine"]),
    ("an engine idles and an electric hum goes on", ["engine", "hum"]),
    ("a steady hum", ["hum"]),
    ("wind whistles", ["wind"]),
    ("the wind blows and whistles", ["wind"]),
    ("the wind blows and whistling comes from a person", ["wind", "whistle"]),
    ("someone whistles", ["whistle"]),
    ("wind chimes tinkle", []),
    ("he winds up a toy", []),
    ("a window is opened", []),
    ("pouring rain", ["rain"]),
    ("rain drops fall", ["rain"]),
    ("rain is dripping off a roof", ["rain"]),
    ("the rain falls and water drips", ["rain", "water_drops"]),
    ("the rain falls and water is poured", ["rain", "pouring_water"]),
    ("drops of water", ["water_drops"]),
    ("the tap is slowly dripping", ["water_drops"]),
    ("water runs into the sink", ["pouring_water"]),
    ("water is being poured into a cup", ["pouring_water"]),
    ("an alarm clock", ["clock_alarm"]),
    ("the clock is ticking", ["clock_tick"]),
    ("a car alarm", []),
    ("a geiger counter is ticking", ["geiger_counter"]),
    ("a church bell rings", ["church_bells"]),
    ("the doorbell", []),
    ("a bicycle bell", []),
    ("a hen clucks", ["hen"]),
    ("a chicken coop", ["hen"]),
    ("chickenpox, catch and bugle", []),
    ("the sea", ["sea_waves"]),
    ("seasons and searches", []),
    ("ocean waves lap the shore", ["sea_waves"]),
    ("a door creaks open", ["door_wood_creaks"]),
    ("the squeaking of a door", ["door_wood_creaks"]),
    ("knocking on a wooden door", ["door_wood_knock"]),
    ("a door is shut", []),
    ("a wooden floor creaks", []),
    ("a clap of thunder", ["thunderstorm"]),
    ("thunder cracks and someone claps", ["thunderstorm", "clapping"]),
    ("a campfire crackles", ["crackling_fire"]),
    ("a gun is fired", []),
    ("a fire truck drives off", []),
    ("the siren of a fire truck", ["siren"]),
    ("a baby cries and a cat cries", ["crying_baby", "cat"]),
    ("a man grunts", []),
]


@pytest.mark.parametrize(("caption", "expected"), NAMED, ids=[caption for caption, _ in NAMED])
def test_kinds_named(caption: str, expected: list[str]) -> None:
    assert distinct_kinds(caption) == expected


def test_case_and_punctuation_do_not_matter() -> None:
    assert kinds_named("A DOG barks.") == kinds_named("a dog barks")


def test_mentions_say_where() -> None:
    assert kinds_named("Loudly, a car horn is honking; then a dog...") == [
        Mention("car_horn", 2, 4),
        Mention("car_horn", 5, 6),
        Mention("dog", 8, 9),
    ]


def test_mentions_span_the_fillers_of_their_phrase() -> None:
    assert kinds_named("the tap is slowly leaking, water is being poured") == [
        Mention("pouring_water", 5, 9)
    ]


def test_no_token_is_consumed_twice() -> None:
    for caption, _ in NAMED:
        mentions = kinds_named(caption)
        for left, right in itertools.pairwise(mentions):
            assert left.end <= right.start


def test_nothing_is_named_by_nothing() -> None:
    assert kinds_named("") == []
    assert kinds_named(" ,.") == []
    assert layout("") == Layout((), ())
    assert not only_known_sounds("")


# Captions that can be rendered


@pytest.mark.parametrize(
    "caption",
    [
        "A dog barks.",
        "A large dog is barking loudly outdoors while it rains.",
        "Wind howls through the trees as thunder rumbles far away.",
        "Someone walks slowly across a room, then a door creaks open.",
        "The train sounds its horn as it passes by.",
        "A person is snoring in a quiet room.",
        "Several birds sing to each other in the forest at dawn.",
        "Water can be heard dripping into a bucket.",
        "As time goes on a clock keeps ticking.",
        "Waves crash onto a sandy beach, again and again.",
        "A phone rings in the distance.",
    ],
)
def test_only_known_sounds_accepts(caption: str) -> None:
    assert only_known_sounds(caption)


@pytest.mark.parametrize(
    "caption",
    [
        "A dog barks while people talk.",
        "A dog barks and music plays.",
        "Rain falls on a street with heavy traffic.",
        "A bird sings while a machine whirs.",
        "A dog barks at a passing car.",
        "A cat meows near a radio.",
        "Someone drops a metal tray as a baby cries.",
        "A seagull cries over the waves.",
        "A wind chime sounds in the breeze.",
        "A car alarm wails in the rain.",
        "A dog barks with other noises in the background.",
        "Birds chirp by a stream.",
        "Two dogs bark.",
        "The wind gets louder.",
        # Sounds that are denied, that end, or of which the writer is unsure
        "A dog barks and there are no birds.",
        "A dog barks without a pause.",
        "The rain stops.",
        "A dog is not barking.",
        "A dog or a cat is calling.",
        "Silence, then a dog barks.",
        # No kind at all
        "Someone is somewhere in a large room.",
    ],
)
def test_only_known_sounds_rejects(caption: str) -> None:
    assert not only_known_sounds(caption)


def test_what_one_kind_does_is_not_known_of_another() -> None:
    assert only_known_sounds("a siren wails")
    assert not only_known_sounds("a pig wails")


# Order of time


@pytest.mark.parametrize(
    ("caption", "groups"),
    [
        ("a dog barks while birds chirp", [{"dog", "chirping_birds"}]),
        ("a dog barks and a siren wails", [{"dog", "siren"}]),
        ("rain with thunder", [{"rain", "thunderstorm"}]),
        ("a dog barks, birds chirp", [{"dog", "chirping_birds"}]),
        ("a dog barks followed by a siren", [{"dog"}, {"siren"}]),
        ("a dog barks and then a siren wails", [{"dog"}, {"siren"}]),
        ("a dog barks then a siren wails", [{"dog"}, {"siren"}]),
        ("a dog barks before a siren wails", [{"dog"}, {"siren"}]),
        ("a dog barks after which a siren wails", [{"dog"}, {"siren"}]),
        ("a dog barks and after a while a siren wails", [{"dog"}, {"siren"}]),
        ("a siren wails after a dog barks", [{"dog"}, {"siren"}]),
        ("a siren wails following the bark of a dog", [{"dog"}, {"siren"}]),
        ("After a siren wails, a dog barks", [{"siren"}, {"dog"}]),
        ("after a siren wails a dog barks", [{"siren"}, {"dog"}]),
        ("After a siren wails and a horn honks, a dog barks", [{"siren", "car_horn"}, {"dog"}]),
        ("Before a siren wails, a dog barks", [{"dog"}, {"siren"}]),
        ("first a dog barks and then a cat meows", [{"dog"}, {"cat"}]),
        ("a dog barks, then a cat meows, then a pig oinks", [{"dog"}, {"cat"}, {"pig"}]),
        ("a dog barks while it rains and then a cat meows", [{"dog", "rain"}, {"cat"}]),
        ("a dog barks followed by a cat while it rains", [{"dog"}, {"cat", "rain"}]),
        ("the wind howls now and then while birds chirp", [{"wind", "chirping_birds"}]),
        ("a dog barks then another dog barks", [{"dog"}]),
        ("a dog barks then a cat meows and the dog barks again", [{"dog"}, {"cat"}]),
        ("then a dog barks", [{"dog"}]),
        ("a dog barks louder and then softer", [{"dog"}]),
    ],
)
def test_layout_follows_the_words_of_time(caption: str, groups: list[set[str]]) -> None:
    assert [set(group) for group in layout(caption).groups] == groups


@pytest.mark.parametrize(
    ("caption", "background"),
    [
        ("a dog barks", ()),
        ("a dog barks with birds chirping in the background", ("chirping_birds",)),
        ("a dog barks as a train passes by in the distance", ("train",)),
        ("in the background birds chirp while a dog barks", ("chirping_birds",)),
        ("In the background, birds chirp while a dog barks", ("chirping_birds",)),
        ("birds chirp and sing in the background while a dog barks", ("chirping_birds",)),
        ("a dog barks in front of a background of rain", ("rain",)),
        ("a dog barks during distant thunder", ("thunderstorm",)),
        ("a cat meows while crickets call with chirps in the background", ("crickets",)),
    ],
)
def test_layout_finds_the_background(caption: str, background: tuple[str, ...]) -> None:
    assert layout(caption).background == background


def test_layout_holds_each_named_kind_once() -> None:
    for caption, expected in NAMED:
        heard = [kind for group in layout(caption).groups for kind in group]
        assert sorted(heard) == sorted(expected)


def test_kinds_of_esc50_are_those_of_its_metadata(esc50_dir: Path) -> None:
    rows = (esc50_dir / "meta" / "esc50.csv").read_text(encoding="utf-8").splitlines()
    column = rows[0].split(",").index("category")
    assert {row.split(",")[column] for row in rows[1:]} == set(ESC50)
