"""A whole recording in one sentence."""

from __future__ import annotations

import pytest

from engine.summary import Tally, span


def test_what_lasts_longest_comes_first() -> None:
    tally = Tally()
    assert tally.sentence(7200.0) == "Nothing is heard in 2 h 0 min."
    tally.add(0.0, 4.0, "Dog")
    assert tally.sentence(9.0) == "Heard in 9 s: dog (4 s)."
    tally.add(10.0, 80.0, "Light engine (high frequency)")
    tally.add(90.0, 93.0, "Dog")
    assert (
        tally.sentence(95.0)
        == "Heard in 1 min 35 s: light engine (1 min 10 s) and dog (2 times, 7 s)."
    )
    for number in range(3):
        tally.add(100.0, 102.0 - number / 10, f"Bell {number}")
    assert tally.sentence(120.0).endswith(
        "dog (2 times, 7 s), bell 0 (2 s), bell 1 (2 s) and one other kind."
    )
    tally.add(110.0, 111.0, "Cat")
    assert tally.sentence(120.0).endswith(" and 2 other kinds.")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59.6, "1 min 0 s"), (3599.4, "59 min 59 s"), (7502, "2 h 5 min")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said
