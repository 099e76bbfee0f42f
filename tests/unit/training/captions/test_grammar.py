"""Captions name exactly what sounds, and what they say about time is true."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest

from training.captions import grammar
from training.captions.grammar import (
    Event,
    captions,
    clauses,
)
from training.captions.layout import layout
from training.captions.naming import says
from training.captions.sounds import ESC50, only_known_sounds

NAMES = {
    "dog": r"\bdog\b",
    "rooster": r"\brooster\b",
    "pig": r"\bpig\b|oink",
    "cow": r"\bcow\b|\bmoo",
    "frog": r"\bfrog\b|croak",
    "cat": r"\bcat\b|meow",
    "hen": r"\b(hen|chicken)\b|cluck",
    "insects": r"\binsects?\b|buzz",
    "sheep": r"\bsheep\b|bleat",
    "crow": r"\bcrow\b|(?<!rooster )\bcrows\b|\bcaw",
    "rain": r"\brain\b",
    "sea_waves": r"\bwaves\b|\bsea\b",
    "crackling_fire": r"\bfire\b|crackl",
    "crickets": r"\bcrickets\b",
    "chirping_birds": r"\bbirds\b",
    "water_drops": r"\bdrip|\bdrops?\b",
    "wind": r"\bwind\b",
    "pouring_water": r"\bpour",
    "toilet_flush": r"\btoilet\b|flush",
    "thunderstorm": r"\bthunder",
    "crying_baby": r"\b(baby|infant)\b|\bcr(y|ies)",
    "sneezing": r"sneez",
    "clapping": r"\bclap|applau",
    "breathing": r"\bbreath",
    "coughing": r"cough",
    "footsteps": r"footstep|\bwalk",
    "laughing": r"\blaugh",
    "brushing_teeth": r"\bteeth\b|toothbrush",
    "snoring": r"snor(e|ing)",
    "drinking_sipping": r"\bsip|drink",
    "door_wood_knock": r"knock",
    "mouse_click": r"\bmouse\b",
    "keyboard_typing": r"keyboard|\btyp",
    "door_wood_creaks": r"creak",
    "can_opening": r"\bcan\b(?! be heard)",
    "washing_machine": r"washing machine",
    "vacuum_cleaner": r"vacuum",
    "clock_alarm": r"\balarm\b",
    "clock_tick": r"\btick",
    "glass_breaking": r"\bglass\b",
    "helicopter": r"helicopter",
    "chainsaw": r"chainsaw",
    "siren": r"\bsiren\b",
    "car_horn": r"\bhorn\b|honk",
    "engine": r"\bengine\b",
    "train": r"\btrain\b",
    "church_bells": r"\bbells\b",
    "airplane": r"airplane",
    "fireworks": r"fireworks",
    "hand_saw": r"\bsaws?\b|\bsawing\b|hand saw",
}


def named(text: str) -> set[str]:
    """The kinds whose words are in the text: an independent, cruder lexicon."""
    return {kind for kind, pattern in NAMES.items() if re.search(pattern, text)}


Relation = tuple[str, str, str]
"""("with", a, b) with a < b, or ("before", a, b)."""


def read(text: str) -> set[Relation]:
    """What a caption, its clauses replaced by "@0", "@1", ..., says about time."""
    text = re.sub(r"^(there is )?the sound of |^first ", "", text).replace("after which", "then")
    for overlay in (
        r"while (?P<m>@\d) (?P<rest>.+)",
        r"(?P<rest>.+) all while (?P<m>@\d)",
    ):
        if match := re.fullmatch(overlay, text):
            rest = match["rest"]
            during = {pair(match["m"], other) for other in re.findall(r"@\d", rest)}
            return during | read(rest)
    if " after " in text:
        last, first = text.split(" after ")
        return sequence([first, last])
    parts = re.split(r" (?:followed by|and then|then|before) ", text, maxsplit=1)
    if len(parts) == 2:
        return sequence(parts)
    text = re.sub(r" (at the same time|together|briefly)$", "", text)
    text = re.sub(r" (can be heard( briefly)?|is briefly heard)$", "", text)
    together = re.split(r" (?:and|while|as) ", text)
    assert all(re.fullmatch(r"@\d", part) for part in together), f"unread: {text}"
    return {pair(a, b) for a, b in combinations(together, 2)}


def pair(a: str, b: str) -> Relation:
    return ("with", *sorted((a, b)))  # type: ignore[return-value]


def sequence(parts: list[str]) -> set[Relation]:
    first, last = (re.findall(r"@\d", part) for part in parts)
    order: set[Relation] = {("before", a, b) for a in first for b in last}
    return order | read(parts[0]) | read(parts[1])


@cache
def wording(kind: str) -> re.Pattern[str]:
    forms = sorted({form for clause in clauses(kind) for form in clause}, key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(forms) + r")\b")


def skeleton(caption: str, events: list[Event]) -> str:
    """The caption with the clause of event i replaced by "@i"."""
    for index, event in enumerate(events):
        caption, found = wording(event.kind).subn(f"@{index}", caption)
        assert found == 1, f"{event.kind} is said {found} times: {caption}"
    return caption


def truth(events: list[Event]) -> set[Relation]:
    """The relations of events in whole seconds, by counting the seconds they share."""
    relations: set[Relation] = set()
    for (i, a), (j, b) in combinations(enumerate(events), 2):
        seconds = [set(range(int(e.start_s), int(e.end_s))) for e in (a, b)]
        if 2 * len(seconds[0] & seconds[1]) > min(map(len, seconds)):
            relations.add(pair(f"@{i}", f"@{j}"))
        elif a.start_s < b.start_s:
            relations.add(("before", f"@{i}", f"@{j}"))
        else:
            relations.add(("before", f"@{j}", f"@{i}"))
    return relations


def random_scene(rng: np.random.Generator, size: int) -> list[Event]:
    events = []
    for kind in rng.choice([*ESC50], size, replace=False):
        start, length = int(rng.integers(0, 8)), int(rng.integers(1, 9))
        events.append(Event(str(kind), start, start + length))
    return events


def scenes() -> list[list[Event]]:
    rng = np.random.default_rng(0)
    return [random_scene(rng, size) for size in (1, 2, 3) for _ in range(60)]


@pytest.mark.parametrize("kind", ESC50)
def test_every_clause_names_its_kind_and_no_other(kind: str) -> None:
    assert 5 <= len(clauses(kind)) <= 8
    for clause in clauses(kind):
        for form in clause:
            assert named(form) == {kind}, form


def test_clauses_hold_no_word_of_the_templates() -> None:
    words = r"\b(while|as|and|then|before|after|which|followed|first|same|together|all|background|"
    words += r"heard|the sound|briefly)\b"
    for kind in ESC50:
        forms = [form for clause in clauses(kind) for form in clause]
        assert not re.search(words, " ".join(forms)), kind
        assert len(set(forms)) == len(forms), f"{kind} has a clause twice"
        assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", form) for form in forms)


def test_phrases_are_the_kinds_that_there_are() -> None:
    path = Path(grammar.__file__).with_name("phrases.json")
    assert set(json.loads(path.read_text(encoding="utf-8"))) == set(ESC50)


def test_forms_agree_with_their_subject() -> None:
    for kind in ESC50:
        for clause in clauses(kind):
            be = re.search(r"\b(is|are)\b", clause.g)
            assert be, clause
            # The noun phrase is the progressive without its "is" or "are".
            assert clause.n == clause.g[: be.start()] + clause.g[be.end() + 1 :]
            assert re.search(r"ing\b", clause.n)
    assert clauses("dog")[1] == (
        "a dog barks out loud",
        "a dog is barking out loud",
        "a dog barking out loud",
    )
    assert ("water is poured", "water is being poured", "water being poured") in clauses(
        "pouring_water"
    )


def test_captions_are_different_and_name_exactly_the_events() -> None:
    rng = np.random.default_rng(1)
    for scene in scenes():
        said = captions(scene, rng)
        assert len(set(said)) == 5
        for caption in said:
            assert re.fullmatch(r"[a-z]+( [a-z]+)*", caption)
            assert named(caption) == {event.kind for event in scene}, caption
            assert len(caption.split()) <= 36


def test_captions_are_true_about_time() -> None:
    rng = np.random.default_rng(2)
    seen = set()
    for scene in scenes():
        expected = truth(scene)
        seen.add((len(scene), sum(name == "with" for name, _, _ in expected)))
        for caption in captions(scene, rng, count=8):
            assert read(skeleton(caption, scene)) == expected, (caption, scene)
    assert seen == {(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (3, 3)}


def test_the_reader_tells_a_false_caption() -> None:
    scene = [Event("dog", 0, 2), Event("rain", 3, 6)]
    assert truth(scene) == {("before", "@0", "@1")}
    for false in ("rain falls then a dog barks", "a dog barks while rain is falling"):
        assert read(skeleton(false, scene)) != truth(scene)
    assert read("@1 after @0") == read("@0 before @1") == truth(scene)
    assert read("first @0 while @1 and then @2") == {
        ("with", "@0", "@1"),
        ("before", "@0", "@2"),
        ("before", "@1", "@2"),
    }


def told(caption: str) -> list[set[str]]:
    """ESC-50's kinds that ``caption`` names, in the order of time.

    A label that ESC-50 has no kind for adds nothing where another one says it (water, where it
    drips). Of the kinds that share a label (rooster and hen a chicken's) another one must tell.
    """
    assert only_known_sounds(caption), caption
    groups = layout(caption).groups
    possible = {
        label: [kind for kind, labels in ESC50.items() if label in labels]
        for label in chain(*groups)
    }
    sure = {several[0] for several in possible.values() if len(several) == 1}
    kinds = {label: sure.intersection(several) for label, several in possible.items()}
    for label, of in kinds.items():
        assert of or any(kinds[other] and says(other, label) for other in kinds), caption
    named: list[set[str]] = []
    for group in groups:
        new = set().union(*(kinds[label] for label in group)).difference(*named)
        if new:
            named.append(new)
    return named


def test_the_lexicon_reads_the_captions() -> None:
    rng = np.random.default_rng(9)
    for scene in scenes():
        kind_of = {f"@{i}": event.kind for i, event in enumerate(scene)}
        relations = truth(scene)
        for caption in captions(scene, rng, count=4):
            heard = told(caption)
            assert {*chain(*heard)} == {*kind_of.values()}, caption
            place = {kind: i for i, group in enumerate(heard) for kind in group}
            # A layout has no way to say that one sound goes on during two in turn.
            overlay = len(scene) == 3 and sum(name == "with" for name, _, _ in relations) == 2
            for name, a, b in relations:
                first, second = place[kind_of[a]], place[kind_of[b]]
                assert first < second if name == "before" else overlay or first == second, caption


def test_only_short_events_are_brief() -> None:
    rng = np.random.default_rng(4)
    short, long = (captions([Event("dog", 1, end)], rng, count=30) for end in (1.9, 2.0))
    assert any("briefly" in caption for caption in short)
    assert not any("briefly" in caption for caption in long)


def test_the_order_in_which_events_are_given_does_not_matter() -> None:
    scene = [Event("dog", 0, 2), Event("rain", 3, 5), Event("siren", 6, 8)]
    for order in (scene, scene[::-1]):
        for caption in captions(order, np.random.default_rng(5), count=10):
            assert read(skeleton(caption, scene)) == truth(scene)


def test_the_generator_decides_the_captions() -> None:
    scene = [Event("dog", 0, 2), Event("rain", 1, 5)]
    first, again, other = (captions(scene, np.random.default_rng(seed)) for seed in (6, 6, 7))
    assert first == again
    assert first != other


def test_what_cannot_be_said_is_refused() -> None:
    rng = np.random.default_rng(0)
    dog = Event("dog", 0, 1)
    for scene in ([], [dog] * 4):
        with pytest.raises(ValueError, match="one to three"):
            captions(scene, rng)
    with pytest.raises(ValueError, match="only"):
        captions([dog], rng, count=1000)
    with pytest.raises(KeyError):
        captions([Event("unicorn", 0, 1)], rng)
    for end in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="end after"):
            Event("dog", 1.0, end)
