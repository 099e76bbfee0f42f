"""Sounds-F: sounds that a caption names, against those that people name."""

from __future__ import annotations

import pytest

from training.evaluation.sounds_f import sounds_f

DOG, RAIN = "a dog barks", "rain falls"


@pytest.mark.parametrize(
    ("candidate", "references", "value"),
    [
        (DOG, [DOG], 1.0),
        (DOG, [DOG, "a dog barks in the rain"], 0.8),
        ("a dog barks in the rain", [DOG], 0.8),
        (DOG, [RAIN], 0.0),
        ("a dog barks", ["a dog is there"], 1.0),  # a case of it
        ("", [DOG], 0.0),
        (DOG, [""], 0.0),
        ("", ["a zeppelin"], 1.0),
    ],
)
def test_values(candidate: str, references: list[str], value: float) -> None:
    assert sounds_f(candidate, references) == pytest.approx(value)
