"""How answers are judged."""

from __future__ import annotations

import numpy as np
import pytest

from training.captions.ontology import AUDIOSET
from training.evaluation import judges
from training.evaluation.material import REAL_RATE
from training.evaluation.row import Answer, Case

DOG = Case("a", list, (("Dog",),), (("Rain",),))


def said(caption: str = "", **scores: float) -> Answer:
    sounds = [{"label": label, "score": score} for label, score in scores.items()]
    return {"caption": caption, "score": -0.5, "sounds": sounds}


def test_a_caption_is_held_against_what_is_wanted() -> None:
    found = judges.caption(DOG, [said("a dog barks while rain falls")])
    assert found.right
    assert found.leaks


@pytest.mark.parametrize(
    ("mixture", "reference", "named"),
    [
        ({"Dog": 0.5, "Rain": 0.9}, {"Rain": 0.4}, "Dog"),
        ({"Dog": 0.5, "Rain": 0.9}, {"Rain": 0.1}, "Rain"),
        ({"Dog": 0.5, "Rain": 0.9}, {"Rain": 0.9, "Dog": 0.3}, None),
        ({}, {"Rain": 0.9}, None),
    ],
)
def test_the_rule_turns_down_what_the_reference_has(
    mixture: dict[str, float], reference: dict[str, float], named: str | None
) -> None:
    found = judges.rule(DOG, [said(**mixture), said(**reference)])
    assert found is not None
    assert found.named == ((named,) if named else ())
    assert found.right == (named == "Dog")
    assert found.leaks == (named == "Rain")


def test_a_caption_keeps_its_sounds_whatever_its_words() -> None:
    barks = said("a dog barks")
    assert judges.keeps(DOG, [barks, said("the bark of a dog")]) is True
    assert judges.keeps(DOG, [barks, said("a dog barks and rain falls")]) is False
    assert judges.keeps(DOG, [barks, said("silence")]) is False
    assert judges.keeps(DOG, [said("silence"), barks]) is None


def timeline(*kept: float | None) -> Answer:
    frames = [
        {"start_s": round(0.32 * t, 4), "end_s": round(0.32 * (t + 1), 4), "kept": value}
        for t, value in enumerate(kept)
    ]
    return {"timeline": frames}


def test_moments_are_told_where_the_difference_sounds() -> None:
    frame = int(0.32 * REAL_RATE)
    stem = np.zeros(4 * frame, np.float32)
    stem[frame : 3 * frame] = 0.1
    stem[: frame // 2] = 1e-5  # inaudible beside the rest
    case = Case("a", list, truth=lambda: stem)
    assert judges.moments(case, [timeline(0.1, 0.9, 0.8, 0.2)]) == 1
    assert judges.moments(case, [timeline(0.1, 0.9, 0.3, 0.5)]) == 0.75
    assert judges.moments(case, [timeline(None, None, None, None)]) is None
    assert judges.moments(Case("a", list, truth=lambda: stem + 1), [timeline(0, 1, 1, 0)]) is None


def test_opinions_are_scores_of_all_kinds() -> None:
    truth = np.zeros(len(AUDIOSET), np.float32)
    case = Case("a", list, truth=lambda: truth)
    found = judges.opinions(case, [said(Dog=0.5, Speech=0.25)])
    assert found is not None
    scores, teacher = found
    assert teacher is truth
    assert scores[0] == 0.25  # Speech is AudioSet's first
    assert scores[AUDIOSET.index("Dog")] == 0.5
    assert scores.sum() == 0.75
    nothing = judges.opinions(case, [said()])
    assert nothing is not None
    assert not nothing[0].any()


def test_what_hangs_on_sounds_is_not_judged_where_the_service_tells_none() -> None:
    without: Answer = {"caption": "a dog barks"}
    assert judges.rule(DOG, [without, without]) is None
    assert judges.opinions(Case("a", list, truth=lambda: np.zeros(1)), [without]) is None


def test_scores_of_a_caption() -> None:
    answer = said("a dog barks", Rain=0.9, Bark=0.6, Dog=0.4)
    assert judges.confidence(judges.decoder_score)(DOG, [answer]) == (True, -0.5)
    assert judges.confidence(judges.sounds_score)(DOG, [answer]) == (True, 0.6)
    assert judges.sounds_score(said("a cat meows", Rain=0.9)) == 0
    assert judges.sounds_score({"caption": "a cat meows"}) == 0
