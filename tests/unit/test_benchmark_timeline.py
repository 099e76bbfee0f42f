"""The timeline benchmark's recordings and its measure."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.timeline.material import FLOOR, GAP_S, RATE, f1, made, write

WANTED = [(1.0, 3.0), (10.0, 12.0)]


@pytest.mark.parametrize(
    ("found", "figure"),
    [
        (WANTED, 1.0),
        ([(1.9, 2.1), (10.0, 12.9)], 1.0),
        ([(1.0, 4.1), (10.0, 12.0)], 0.5),
        ([(1.0, 3.0), (1.0, 3.0), (10.0, 12.0)], 0.8),
        ([], 0.0),
    ],
)
def test_each_event_is_met_once_within_the_collar(
    found: list[tuple[float, float]], figure: float
) -> None:
    assert f1(found, WANTED) == pytest.approx(figure)


def test_sounds_lie_where_it_is_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    places = write(tmp_path / "a.wav", 60.0, made(rng), rng)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert (len(samples), rate) == (60 * RATE, RATE)
    assert len(places) >= 3
    quiet = np.ones(len(samples), bool)
    for start, end in places:
        assert np.abs(samples[round(start * RATE) : round(end * RATE)]).max() > 0.1
        quiet[round(start * RATE) : round(end * RATE)] = False
    assert np.abs(samples[quiet]).max() < 10 * FLOOR
    gaps = [after[0] - before[1] for before, after in pairwise(places)]
    assert all(GAP_S[0] <= gap <= GAP_S[1] for gap in gaps)
