"""Events of frames -> sounds: which, how surely, and when."""

from __future__ import annotations

import torch

from engine.sounds import LEAST, MOST, shared, sounds
from model.events import SILENCE
from model.types import Interval


def test_a_sound_lasts_while_it_is_half_as_sure_as_at_its_best() -> None:
    events = torch.tensor([[0.9, 0.0], [0.5, 0.05], [0.4, 0.09], [0.6, 0.0], [0.0, 0.0]])
    (dog,) = sounds(events, ["Dog", "Rain"], 0.32)
    assert (dog.label, dog.score) == ("Dog", 0.9)
    assert dog.events == (Interval(0.0, 0.64), Interval(0.96, 1.28))


def test_the_likeliest_ones_are_told_and_never_silence() -> None:
    labels = [SILENCE, *(f"kind {number}" for number in range(MOST + 3))]
    events = torch.linspace(0.99, LEAST + 0.01, MOST + 4)[None]
    found = sounds(events, labels, 1.0)
    assert [sound.label for sound in found] == labels[1 : MOST + 1]
    assert sounds(torch.tensor([[0.9]]), [SILENCE], 1.0) == ()


def test_what_both_have_is_so_at_any_time_of_the_other() -> None:
    first = torch.tensor([[0.8, 0.0], [0.1, 0.9]])
    second = torch.tensor([[0.0, 0.3], [0.5, 0.0], [0.2, 0.1]])
    torch.testing.assert_close(shared(first, second), torch.tensor([[0.5, 0.0], [0.1, 0.3]]))
