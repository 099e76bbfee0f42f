"""What a bank draws, and how it cuts and varies what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.recording import Recording, Samples
from training.scenes.bank import SoundBank

RATE = 8000
HOP = RATE // 50


def ramp(silence: int, audible: int, tail: int) -> Samples:
    """Every audible sample has a value of its own, so that a view shows where it was taken."""
    return np.pad(np.linspace(0.5, 1, audible, dtype=np.float32), (silence, tail))


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
    drawn = {bank.draw(rng, avoid=("dog", "rain"))[0] for _ in range(100)}
    assert drawn == {"church_bells", "sneezing"}


def test_a_kind_asked_for_is_drawn_from_its_recordings(
    bank: SoundBank, recordings: list[Recording]
) -> None:
    rng = np.random.default_rng(6)
    own = [one.samples for one in recordings if one.kind == "rain"]
    drawn = [bank.draw(rng, kind="rain") for _ in range(40)]
    assert {kind for kind, _ in drawn} == {"rain"}
    assert {next(i for i, o in enumerate(own) if o is s) for _, s in drawn} == {0, 1}


def test_a_kind_without_recordings_is_refused(bank: SoundBank) -> None:
    with pytest.raises(KeyError, match="siren"):
        bank.draw(np.random.default_rng(7), kind="siren")


def test_another_is_of_the_kind_and_the_same_only_if_it_is_alone(
    recordings: list[Recording],
) -> None:
    rng = np.random.default_rng(8)
    bank = SoundBank(recordings[:3], sample_rate=RATE)
    first, second, alone = (one.samples for one in recordings[:3])
    for _ in range(20):
        assert bank.another(rng, "dog", first) is second
        assert bank.another(rng, "rain", alone) is alone


def test_draws_are_decided_by_the_generator(bank: SoundBank) -> None:
    one, two = (
        [bank.draw(rng) for _ in range(20)]
        for rng in (np.random.default_rng(10), np.random.default_rng(10))
    )
    assert [kind for kind, _ in one] == [kind for kind, _ in two]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, two, strict=True))
