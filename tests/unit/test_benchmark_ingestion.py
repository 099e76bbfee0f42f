"""The benchmark of ingestion: its files and its clock."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.ingestion.formats import FORMATS, Format, encode, sounds
from benchmarks.timing import by_turns
from model.audio import decode


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_a_format_decodes_to_the_sound_that_was_written(kind: Format) -> None:
    times = np.arange(kind.rate) / kind.rate
    heard = decode(encode(0.5 * np.sin(2 * np.pi * 440 * times), kind), kind.rate)
    assert (heard.source.sample_rate, heard.source.channels) == (kind.rate, kind.channels)
    assert heard.duration_s == pytest.approx(1.0, abs=0.1)
    samples = heard.samples.numpy()
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert spectrum.argmax() * kind.rate / len(samples) == pytest.approx(440, abs=3)


def test_the_sounds_are_the_same_every_time_and_all_different() -> None:
    made = sounds(8000, 0.5)
    assert {len(each) for each in made} == {4000}
    assert all(map(np.array_equal, made, sounds(8000, 0.5)))
    assert len({each.tobytes() for each in made}) == len(made)


def test_times_are_medians_taken_by_turns_after_a_warm_up() -> None:
    ran: list[str] = []
    # Round by round: a takes 1, 5, 2 and b takes 3, 4, 9 seconds; b begins the last two.
    ticks = iter([0, 1, 1, 4, 4, 8, 8, 13, 13, 22, 22, 24])
    found = by_turns(
        {"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, 3, lambda: float(next(ticks))
    )
    assert found == {"a": 2.0, "b": 4.0}
    assert "".join(ran) == "ab" + "ab" + "ba" + "ba"
