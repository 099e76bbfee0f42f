"""What is news in a stream, without a model: what is left of each window is given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch

from engine.stream import CLEAR, FAINT, HeardWindow, Stream, Windows
from model.types import Encoded, Interval, Sound

RATE, FRAME_S = 1000, 0.4
BACKGROUND_S = 64.0
DOG, SIREN = {"Dog": 0.8}, {"Siren": 0.7}


class Told:
    """A stream that hears a window per hop."""

    def __init__(self) -> None:
        self.stream = Stream.at(RATE, FRAME_S, BACKGROUND_S)
        self.start = 0

    def hear(self, left: Mapping[str, float]) -> list[str]:
        """The labels that are told of a window of which this is left."""
        new = tuple(Sound(label, score, (Interval(0, 1),)) for label, score in left.items())
        frames = torch.full((12, 1), float(self.start))
        told = self.stream.news(self.start, HeardWindow(Encoded.of(frames), new))
        self.start += self.stream.hop
        return [sound.label for sound in told]

    def pass_by(self, seconds: float) -> None:
        """So long nothing is left of anything."""
        for _ in range(round(seconds * RATE / self.stream.hop)):
            assert self.hear({}) == []


@pytest.fixture
def told() -> Told:
    """A stream that has a background already."""
    new = Told()
    new.pass_by(20)
    return new


@pytest.mark.parametrize("fed", [1, 7, 100, 1000])
def test_windows_overlap_however_the_samples_come(fed: int) -> None:
    windows = Windows(30, 10)
    sound = np.arange(100, dtype=np.float32)
    cut = [one for part in np.split(sound, range(fed, 100, fed)) for one in windows.feed(part)]
    assert [start for start, _ in cut] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert all((samples == sound[start : start + 30]).all() for start, samples in cut)


def test_at_the_end_silence_fills_the_last_window_and_the_next_begins_anew() -> None:
    windows = Windows(30, 10)
    assert [start for start, _ in windows.feed(np.ones(35, np.float32))] == [0]
    ((start, samples),) = windows.end()
    assert (start, samples.tolist()) == (10, [1.0] * 25 + [0.0] * 5)
    assert [*windows.end()] == []
    assert [start for start, _ in windows.feed(np.ones(30, np.float32))] == [35]
    assert [*windows.end()] == []


def test_what_is_new_is_told_once_while_it_stays(told: Told) -> None:
    assert told.hear(DOG) == ["Dog"]
    # Until it is background, and if the masking never takes all of it away.
    assert [told.hear(DOG) for _ in range(100)] == [[]] * 100


def test_what_comes_back_is_news_once_the_background_has_forgotten_it(told: Told) -> None:
    assert told.hear(DOG) == ["Dog"]
    told.pass_by(BACKGROUND_S / 2)
    assert told.hear(DOG) == []
    told.pass_by(BACKGROUND_S + 5)
    assert told.hear(DOG) == ["Dog"]


def test_another_sound_is_told_while_the_first_goes_on(told: Told) -> None:
    assert told.hear(DOG) == ["Dog"]
    assert told.hear({**DOG, "Animal": CLEAR - 0.01}) == []
    assert told.hear({**DOG, **SIREN}) == ["Siren"]


def test_a_faint_sound_is_told_if_the_next_window_has_it_too(told: Told) -> None:
    assert told.hear({"Dog": FAINT}) == []
    assert told.hear({"Cat": FAINT}) == []
    assert told.hear({"Cat": FAINT}) == ["Cat"]
    told.pass_by(10)
    assert told.hear({"Cow": FAINT - 0.01}) == []
    assert told.hear({"Cow": FAINT - 0.01}) == []


def test_what_the_masking_always_leaves_is_no_news_unless_it_grows() -> None:
    told = Told()
    assert [told.hear({"Hum": 0.3}) for _ in range(20)] == [[]] * 20
    assert told.hear({"Hum": 0.59}) == []
    assert told.hear({"Hum": 0.61}) == ["Hum"]


def test_nothing_is_news_before_there_is_a_background() -> None:
    told = Told()
    assert [told.hear(DOG) for _ in range(7)] == [[]] * 7
    assert told.hear(SIREN) == ["Siren"]


def test_the_background_is_what_was_heard_before_and_no_longer_ago_than_it_reaches() -> None:
    told = Told()
    assert told.stream.background(0) is None
    told.pass_by(100)
    stream = told.stream
    background = stream.background(told.start)
    assert background is not None
    hops = background.frames[0, :, 0].unique().tolist()
    assert hops[0] == told.start - stream.reach
    assert hops[-1] == told.start - stream.hop
    assert background.frames.shape[1] * FRAME_S == BACKGROUND_S


def test_two_hours_take_no_more_memory_than_ten_minutes() -> None:
    told = Told()
    held = []
    for _ in range(12):
        told.pass_by(600)
        stream = told.stream
        stream.background(told.start)
        held.append((len(stream._frames), len(stream._past)))
    assert len(set(held)) == 1
