"""What a bank draws, and how it cuts and varies what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.recording import Recording, Samples
from training.scenes.bank import SoundBank
from training.scenes.synthetic import SOUNDS

RATE = 8000
HOP = RATE // 50


def ramp(silence: int, audible: int, tail: int) -> Samples:
    """Every audible sample has a value of its own, so that a view shows where it was taken."""
    return np.pad(np.linspace(0.5, 1, audible, dtype=np.float32), (silence, tail))


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


def test_a_kind_asked_for_is_drawn_from_its_recordings(
    bank: SoundBank, recordings: list[Recording]
) -> None:
    rng = np.random.default_rng(6)
    own = [one.samples for one in recordings if one.kind == "rain"]
    drawn = [bank.draw(rng, kind="rain") for _ in range(40)]
    assert {kind for kind, _ in drawn} == {"rain"}
    assert {next(i for i, o in enumerate(own) if o is s) for _, s in drawn} == {0, 1}


@pytest.mark.parametrize("kind", sorted({sound.kind for sound in SOUNDS.values()}))
def test_a_kind_without_recordings_is_made_in_code(bank: SoundBank, kind: str) -> None:
    drawn, samples = bank.draw(np.random.default_rng(7), kind=kind)
    assert drawn == kind
    assert samples.dtype == np.float32
    assert np.abs(samples).max() > 0.1


def test_the_share_of_sounds_made_in_code(recordings: list[Recording]) -> None:
    bank = SoundBank(recordings, sample_rate=RATE, synthetic_share=0.25)
    rng = np.random.default_rng(8)
    recorded = {one.kind for one in recordings}
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
