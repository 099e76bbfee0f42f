"""Pairs of kept clips: what is asked, what is answered, and how loud they are played."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from model.explanations import read
from model.measures import MIDDLE_DB, SILENT_DB, STEP_DB
from training.captions.edits import noun
from training.captions.explanations import Facts, Part
from training.samples.explained import PROMPTS, TOGETHER, Explained, Kept, answer

BANDS, KINDS = 2, ("Dog", "Rain", "Siren", "Wind")
TEXTS: list[str] = []


def kept() -> Kept:
    """A clip of each kind: its frames say its number, its levels how loud it is."""
    frames, facts = [], []
    for number, label in enumerate(KINDS):
        called = noun(label)
        assert called is not None
        level = -40.0 + 5 * number
        loud = torch.full((3 + number, BANDS), (level - MIDDLE_DB) / STEP_DB)
        frames.append(torch.cat([torch.full((3 + number, 1), float(number)), loud], dim=1).half())
        facts.append(Facts((Part(called, 0.0, 1.0),), level, 9.0 + number, 2.0 + number, number))
    return Kept(frames, facts)


@pytest.fixture
def texts() -> list[str]:
    return []


def explained(texts: list[str], **changed: Any) -> Explained:
    def encode(text: str) -> Tensor:
        texts.append(text)
        return torch.tensor([len(texts)])

    def ask(text: str) -> Tensor:
        return torch.tensor([[*PROMPTS].index(kind) for kind in PROMPTS if text in PROMPTS[kind]])

    how: dict[str, Any] = {"bands": BANDS, "shares": dict.fromkeys(PROMPTS, 1 / 6), "seed": 3}
    return Explained(kept(), encode, ask, **{**how, **changed})


def test_what_is_asked_is_answered_and_true(texts: list[str]) -> None:
    data = explained(texts)
    asked = set()
    for index in range(20 * TOGETHER):
        sample = data[index]
        one, other = (int(sample[name][0, 0]) for name in ("input", "reference"))
        kind = [*PROMPTS][int(sample["prompt"])]
        asked.add(kind)
        played = []
        for name, number in (("input", one), ("reference", other)):
            facts = data.kept.facts[number]
            level = float(sample[name][0, 1]) * STEP_DB + MIDDLE_DB
            played.append(Facts(facts.sounds, level, *_measured(facts)))
            told = sample[name][:, 1 + BANDS :]
            torch.testing.assert_close(
                told, torch.tensor(played[-1].measures.scaled).expand_as(told), atol=0.01, rtol=0
            )
        said = read(texts[-1])
        assert None not in said
        if kind in ("words", "sentence", "paragraph"):
            assert all(statement.holds(*played) for statement in said if statement)
        else:
            assert texts[-1] == answer(data.kept.facts[one], data.kept.facts[other], kind)
    assert asked == set(PROMPTS)


def _measured(facts: Facts) -> tuple[float, float, float]:
    return facts.centre_octaves, facts.seconds, facts.onsets


def test_a_row_is_of_one_kind_lest_a_batch_be_padded(texts: list[str]) -> None:
    data = explained(texts)
    for start in range(0, 6 * TOGETHER, TOGETHER):
        assert len({int(data[start + n]["prompt"]) for n in range(TOGETHER)}) == 1


def test_a_sample_is_a_function_of_its_index(texts: list[str]) -> None:
    first, again = explained(texts)[7], explained(texts)[7]
    assert texts[0] == texts[1]
    assert torch.equal(first["input"], again["input"])
    assert not torch.equal(explained(texts, seed=4)[7]["input"], first["input"])


def test_played_as_softly_as_can_be_it_is_silent_and_no_less(texts: list[str]) -> None:
    data = explained(texts)
    data.kept.frames[0][:, 1:] = (SILENT_DB - MIDDLE_DB) / STEP_DB
    least = min(float(data[n]["input"][:, 1 : 1 + BANDS].min()) for n in range(60))
    assert least == (SILENT_DB - MIDDLE_DB) / STEP_DB
    assert float(data.kept.frames[1][0, 1]) == pytest.approx((-35 - MIDDLE_DB) / STEP_DB, abs=0.01)


def test_the_deaf_hear_how_long_alone(texts: list[str]) -> None:
    data = explained(texts, deaf=True)
    lengths = {len(data[n]["input"]) for n in range(40)}
    assert lengths == {3, 4, 5, 6}
    assert all(float(data[n]["input"].abs().max()) == 0 for n in range(40))
