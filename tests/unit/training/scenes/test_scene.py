"""Scenes: the mix is the sum of what is placed, the labels say exactly what sounds where."""

from __future__ import annotations

import numpy as np
import pytest

from training.captions.grammar import Event
from training.datasets.recording import Samples
from training.scenes.augment import power
from training.scenes.scene import Placed, Scene, active_span, matched

RATE = 8000
HOP = RATE // 50
FRAME = 400
KINDS = ("dog", "rain", "siren")


def tone(size: int, peak: float = 0.5) -> Samples:
    return (peak * np.sin(np.arange(size) + 0.5)).astype(np.float32)


def padded(before: int, sound: Samples, after: int) -> Samples:
    return np.pad(sound, (before, after))


def test_the_mix_is_the_sum_of_the_stems() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        length = int(rng.integers(100, 1000))
        placed = []
        for _ in range(rng.integers(0, 4)):
            size = int(rng.integers(1, length + 1))
            start = int(rng.integers(length - size + 1))
            placed.append(Placed("dog", start, rng.standard_normal(size).astype(np.float32)))
        stems = [
            padded(p.start, p.samples, length - p.start - len(p.samples)).astype(np.float64)
            for p in placed
        ]
        mixed = Scene(length, tuple(placed)).mix()
        assert mixed.dtype == np.float32
        assert np.allclose(mixed, sum(stems, np.zeros(length)), atol=1e-5)


def test_scaling_changes_the_level_alone() -> None:
    sound = Placed("dog", 7, tone(30))
    louder = sound.scaled(2.0)
    assert np.array_equal(louder.samples, sound.samples * 2)
    assert louder.samples.dtype == np.float32
    assert (louder.kind, louder.start) == ("dog", 7)


def test_activity_marks_exactly_the_frames_with_sound() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        expected = np.zeros((20, len(KINDS)))
        placed = []
        for column, kind in enumerate(KINDS[: rng.integers(0, 4)]):
            first, last = sorted(int(edge) for edge in rng.choice(21, 2, replace=False))
            expected[first:last, column] = 1
            silence = int(rng.integers(0, 21 - last)) * FRAME
            samples = padded(0, tone((last - first) * FRAME, rng.uniform(0.01, 1)), silence)
            placed.append(Placed(kind, first * FRAME, samples))
        active = Scene(20 * FRAME + 399, tuple(placed)).activity(KINDS, FRAME)
        assert active.dtype == np.float32
        assert np.array_equal(active, expected)


def test_activity_of_one_kind_is_joined_and_a_cut_last_frame_is_left_out() -> None:
    placed = (
        Placed("rain", 0, tone(FRAME)),
        Placed("rain", 3 * FRAME, tone(FRAME, 0.001)),
        Placed("siren", 4 * FRAME, tone(FRAME // 2)),
    )
    active = Scene(4 * FRAME + FRAME // 2, placed).activity(KINDS, FRAME)
    assert np.array_equal(active[:, 1], [1, 0, 0, 1])
    assert not active[:, [0, 2]].any()


def test_activity_ends_35_db_below_the_loudest_frame() -> None:
    loud, heard, lost = (tone(FRAME, 10 ** (level / 20)) for level in (0, -34, -36))
    scene = Scene(3 * FRAME, (Placed("dog", 0, np.concatenate([loud, heard, lost])),))
    assert np.array_equal(scene.activity(KINDS, FRAME)[:, 0], [1, 1, 0])


def test_silence_is_not_active() -> None:
    silent = Scene(4 * FRAME, (Placed("dog", 0, np.zeros(2 * FRAME, np.float32)),))
    assert not silent.activity(KINDS, FRAME).any()
    assert not Scene(4 * FRAME, ()).activity(KINDS, FRAME).any()


def test_active_span_is_what_is_within_40_db() -> None:
    sound = padded(3 * HOP, tone(5 * HOP), 2 * HOP)
    assert active_span(sound, RATE) == (3 * HOP, 8 * HOP)
    sound[:HOP] = tone(HOP, 0.5 * 10 ** (-42 / 20))
    assert active_span(sound, RATE) == (3 * HOP, 8 * HOP)
    sound[HOP : 2 * HOP] = tone(HOP, 0.5 * 10 ** (-38 / 20))
    assert active_span(sound, RATE) == (HOP, 8 * HOP)


@pytest.mark.parametrize("size", [0, 1, HOP - 1, 3 * HOP])
def test_active_span_of_silence_or_of_less_than_20_ms_is_all_of_it(size: int) -> None:
    assert active_span(np.zeros(size, np.float32), RATE) == (0, size)


def test_events_last_from_the_first_to_the_last_audible_moment() -> None:
    placed = (
        Placed("dog", RATE, padded(RATE // 2, tone(RATE), RATE)),
        Placed("rain", 0, tone(2 * RATE)),
    )
    assert Scene(5 * RATE, placed).events(RATE) == (
        Event("dog", 1.5, 2.5),
        Event("rain", 0.0, 2.0),
    )


def test_matched_power() -> None:
    rng = np.random.default_rng(0)
    one = Placed("dog", 0, rng.standard_normal(500).astype(np.float32))
    two = Placed("rain", 3, 0.01 * rng.standard_normal(900).astype(np.float32))
    for above_db in (-6.0, 0.0, 4.0):
        scaled = matched(two, one, above_db)
        ratio = 10 * np.log10(power(scaled.samples) / power(one.samples))
        assert ratio == pytest.approx(above_db, abs=0.01)
        assert (scaled.kind, scaled.start) == ("rain", 3)
    silence = Placed("cat", 0, np.zeros(10, np.float32))
    assert matched(silence, one) is silence
    assert matched(one, silence) is one
