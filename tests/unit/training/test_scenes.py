"""Scenes: the mix is the sum of what is placed, the labels say exactly what sounds where."""

from __future__ import annotations

import numpy as np
import pytest

from training.captions.grammar import Event
from training.datasets.esc50.read import Clip
from training.scenes.augment import Samples
from training.scenes.scene import Placed, Scene, SoundBank, active_span
from training.scenes.synthetic import SOUNDS

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
    sound = Placed("dog", 7, tone(30), background=True)
    louder = sound.scaled(2.0)
    assert np.array_equal(louder.samples, sound.samples * 2)
    assert louder.samples.dtype == np.float32
    assert (louder.kind, louder.start, louder.background) == ("dog", 7, True)


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
        Placed("rain", 0, tone(2 * RATE), background=True),
    )
    assert Scene(5 * RATE, placed).events(RATE) == (
        Event("dog", 1.5, 2.5, False),
        Event("rain", 0.0, 2.0, True),
    )


# The bank ---------------------------------------------------------------------------------------


def ramp(silence: int, audible: int, tail: int) -> Samples:
    """Every audible sample has a value of its own, so that a view shows where it was taken."""
    return padded(silence, np.linspace(0.5, 1, audible, dtype=np.float32), tail)


def test_a_window_holds_the_audible_part_or_is_full_of_it(bank: SoundBank) -> None:
    rng = np.random.default_rng(2)
    places = set()
    for _ in range(300):
        silence, audible, tail = (int(n) * HOP for n in rng.integers((0, 1, 0), (20, 30, 20)))
        sound = ramp(silence, audible, tail)
        length = int(rng.integers(1, 40 * HOP))
        view = bank.window(sound, rng, length)
        assert view.shape == (length,)
        assert view.dtype == np.float32
        heard = view[view != 0]
        if audible <= length:
            assert np.array_equal(heard, sound[sound != 0])
            places.add(round(4 * np.flatnonzero(view)[0] / (length - audible + 1)))
        else:
            start = int(np.searchsorted(sound[silence : silence + audible], view[0]))
            assert np.array_equal(view, sound[silence + start : silence + start + length])
    assert places == {0, 1, 2, 3, 4}, "moved about over the whole canvas"


def test_an_event_is_the_audible_part_faded_at_both_ends(bank: SoundBank) -> None:
    rng = np.random.default_rng(3)
    fade = RATE // 100
    for _ in range(200):
        silence, audible, tail = (int(n) * HOP for n in rng.integers((0, 1, 0), (20, 30, 20)))
        sound = ramp(silence, audible, tail)
        before = sound.copy()
        longest = int(rng.integers(2 * fade + 1, 40 * HOP))
        event = bank.event(sound, rng, longest)
        assert np.array_equal(sound, before), "the recording was modified"
        assert len(event) == min(audible, longest)
        if len(event) >= 2 * fade:
            assert event[0] == event[-1] == 0
            assert (np.diff(event[:fade]) > 0).all()
            assert (np.diff(event[-fade:]) < 0).all()
        middle = event[fade : len(event) - fade]
        if len(middle):
            start = int(np.searchsorted(sound[silence : silence + audible], middle[0]))
            whole = sound[silence + start : silence + start + len(middle)]
            assert np.array_equal(middle, whole)


def test_events_are_cut_from_everywhere(bank: SoundBank) -> None:
    sound = ramp(0, 10 * HOP, 0)
    starts = [bank.event(sound, np.random.default_rng(seed), HOP)[HOP // 2] for seed in range(200)]
    assert min(starts) < 0.55
    assert max(starts) > 0.95


def test_a_varied_sound_is_at_most_a_fifth_faster_or_slower(bank: SoundBank) -> None:
    rng = np.random.default_rng(4)
    sound = rng.standard_normal(1000).astype(np.float32)
    varied = [bank.vary(sound, rng) for _ in range(200)]
    lengths = np.array([len(v) for v in varied])
    assert lengths.min() >= 1000 * np.exp(-0.2) - 2
    assert lengths.max() <= 1000 * np.exp(0.2) + 2
    assert 0.3 < np.mean(lengths == 1000) < 0.5
    rounded = [len(np.unique(np.abs(v))) <= 128 for v in varied]
    assert 0.5 < np.mean(rounded) < 0.7


def test_no_avoided_kind_is_drawn(bank: SoundBank) -> None:
    rng = np.random.default_rng(5)
    avoid = ("dog", "rain", "siren", "hum")
    drawn = {bank.draw(rng, avoid=avoid)[0] for _ in range(300)}
    assert drawn.isdisjoint(avoid)
    assert {"church_bells", "sneezing"} <= drawn <= set(bank.kinds) - set(avoid)


def test_a_kind_asked_for_is_drawn_from_its_recordings(bank: SoundBank, clips: list[Clip]) -> None:
    rng = np.random.default_rng(6)
    own = [clip.samples for clip in clips if clip.kind == "rain"]
    drawn = [bank.draw(rng, kind="rain") for _ in range(40)]
    assert {kind for kind, _ in drawn} == {"rain"}
    assert {next(i for i, o in enumerate(own) if o is s) for _, s in drawn} == {0, 1}


@pytest.mark.parametrize("kind", sorted({sound.kind for sound in SOUNDS.values()}))
def test_a_kind_without_recordings_is_made_in_code(bank: SoundBank, kind: str) -> None:
    drawn, samples = bank.draw(np.random.default_rng(7), kind=kind)
    assert drawn == kind
    assert samples.dtype == np.float32
    assert np.abs(samples).max() > 0.1


def test_the_share_of_sounds_made_in_code(clips: list[Clip]) -> None:
    bank = SoundBank(clips, sample_rate=RATE, synthetic_share=0.25)
    rng = np.random.default_rng(8)
    recorded = {clip.kind for clip in clips}
    share = np.mean([bank.draw(rng)[0] not in recorded for _ in range(400)])
    assert 0.18 < share < 0.32


def test_without_recordings_every_sound_is_made_in_code() -> None:
    bank = SoundBank([], sample_rate=RATE)
    kinds = {sound.kind for sound in SOUNDS.values()}
    rng = np.random.default_rng(9)
    assert bank.kinds == tuple(sorted(kinds))
    assert {bank.draw(rng)[0] for _ in range(100)} <= kinds


def test_kinds_are_those_recorded_and_those_made_in_code(bank: SoundBank) -> None:
    made = {sound.kind for sound in SOUNDS.values()}
    assert bank.kinds == tuple(sorted({"dog", "rain", "church_bells", "sneezing"} | made))


def test_draws_are_decided_by_the_generator(bank: SoundBank) -> None:
    one, two = (
        [bank.draw(rng) for _ in range(20)]
        for rng in (np.random.default_rng(10), np.random.default_rng(10))
    )
    assert [kind for kind, _ in one] == [kind for kind, _ in two]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, two, strict=True))
