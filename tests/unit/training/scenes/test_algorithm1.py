"""Algorithm 1, condition by condition: what lies where, how loud it is, where it is cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.datasets.recording import Samples
from training.scenes.algorithm1 import CONDITIONS, Addition, Condition, Mixture, mix

ROUNDING = 1e-5


def noise(rng: np.random.Generator, size: int) -> Samples:
    """[size] without a zero, at a level of its own."""
    level = 10 ** rng.uniform(-3, 0)
    return (level * rng.choice([-1, 1], size) * rng.uniform(0.2, 1, size)).astype(np.float32)


@dataclass
class Deck:
    """Hands out recordings of up to ``longest`` samples, and keeps them for the test."""

    rng: np.random.Generator
    longest: int
    recordings: list[Samples] = field(default_factory=list)
    others: list[Samples] = field(default_factory=list)

    def __call__(self) -> Addition:
        self.recordings.append(self._fresh())
        return Addition(f"kind {len(self.recordings)}", self.recordings[-1], self._another)

    def _another(self) -> Samples:
        self.others.append(self._fresh())
        return self.others[-1]

    def _fresh(self) -> Samples:
        return noise(self.rng, int(self.rng.integers(1, self.longest + 1)))


@dataclass
class Trial:
    """One run of Algorithm 1 and what went into it."""

    original: Samples
    deck: Deck
    mixture: Mixture
    latest: float

    def gains(self) -> list[float]:
        """How much louder each recording was added than it is."""
        pieces = [sound.samples for sound in self.mixture.added.placed]
        return [
            float(piece @ own[: len(piece)] / (own[: len(piece)] @ own[: len(piece)]))
            for piece, own in zip(pieces, self.deck.recordings, strict=True)
        ]


def run(condition: Condition, seed: int, size: int, longest: int, latest: float) -> Trial:
    """Mix, and check what holds under every condition."""
    rng = np.random.default_rng(seed)
    original, deck = noise(rng, size), Deck(rng, longest)
    before = original.copy()
    mixture = mix(original, deck, condition, np.random.default_rng(seed), latest)
    trial = Trial(original, deck, mixture, latest)

    assert np.array_equal(original, before), "the original was modified"
    assert mixture.input.shape == original.shape
    assert mixture.input.dtype == mixture.reference.dtype == np.float32
    rebuilt = original.astype(np.float64)
    assert mixture.added.length == size
    for sound, own, gain in zip(mixture.added.placed, deck.recordings, trial.gains(), strict=True):
        start, piece = sound.start, sound.samples
        assert sound.kind.startswith("kind ")
        assert 0 <= start < max(1, int(size * latest))
        assert len(piece) == min(len(own), size - start), "cut where it runs past the end"
        assert np.allclose(piece, own[: len(piece)] * gain, rtol=1e-5)
        above = 20 * math.log10(gain) + decibels(own) - decibels(original)
        assert abs(above) < 0.1, "the whole recording, before it is cut, has the original's power"
        rebuilt[start : start + len(piece)] += piece
    assert np.allclose(mixture.input, rebuilt, atol=ROUNDING)
    return trial


def decibels(samples: Samples) -> float:
    return 10 * math.log10(np.mean(np.square(samples, dtype=np.float64)))


def trials(name: str) -> Callable[[Callable[[Trial], None]], Callable[[], None]]:
    """Hypothesis over the seed, the lengths and the share of the original that is added to."""

    def decorate(check: Callable[[Trial], None]) -> Callable[[], None]:
        @settings(max_examples=60, deadline=None, database=None)
        @given(
            seed=st.integers(0, 2**32 - 1),
            size=st.integers(1, 800),
            longest=st.integers(1, 1600),
            latest=st.sampled_from([0.0, 0.5, 1.0]),
        )
        def test(seed: int, size: int, longest: int, latest: float) -> None:
            check(run(CONDITIONS[name], seed, size, longest, latest))

        return test

    return decorate


@trials("same/same")
def test_same_same(trial: Trial) -> None:
    """The aligned reference is exactly what was added: silence up to t_add, the original's size."""
    (sound,) = trial.mixture.added.placed
    start, piece = sound.start, sound.samples
    reference = trial.mixture.reference
    assert np.array_equal(trial.mixture.input, trial.original + reference)
    assert len(reference) == len(trial.original)
    assert not reference[:start].any()
    assert np.array_equal(reference[start : start + len(piece)], piece)
    assert not reference[start + len(piece) :].any()
    assert not trial.deck.others


@trials("same/diff")
def test_same_diff(trial: Trial) -> None:
    """The reference is the whole recording from its beginning, as loud as it was added."""
    (own,), (gain,) = trial.deck.recordings, trial.gains()
    assert trial.mixture.reference.shape == own.shape
    assert np.allclose(trial.mixture.reference, own * gain, rtol=1e-5)
    assert not trial.deck.others


@trials("diff/diff")
def test_diff_diff(trial: Trial) -> None:
    """The reference is another recording from its beginning, never the one that was added."""
    (other,), (gain,) = trial.deck.others, trial.gains()
    assert trial.mixture.reference.shape == other.shape
    assert np.allclose(trial.mixture.reference, other * gain, rtol=1e-5)
    assert not np.array_equal(other, trial.deck.recordings[0])


@trials("multi/same")
def test_multi_same(trial: Trial) -> None:
    """Two or three are added, each at a place of its own, and the reference has them all there."""
    assert len(trial.mixture.added.placed) in (2, 3)
    expected = trial.mixture.added.mix()
    assert trial.mixture.reference.shape == expected.shape
    assert np.allclose(trial.mixture.reference, expected, atol=ROUNDING)
    assert np.allclose(trial.mixture.input, trial.original + trial.mixture.reference, atol=ROUNDING)
    assert not trial.deck.others


@trials("multi/diff")
def test_multi_diff(trial: Trial) -> None:
    """Two or three are added; the reference has them all, whole, from its beginning on."""
    owns, gains = trial.deck.recordings, trial.gains()
    assert len(owns) in (2, 3)
    expected = np.zeros(max(map(len, owns)))
    for own, gain in zip(owns, gains, strict=True):
        expected[: len(own)] += own * gain
    assert trial.mixture.reference.shape == expected.shape
    assert np.allclose(trial.mixture.reference, expected, rtol=1e-5, atol=1e-5)
    assert not trial.deck.others


def test_multi_adds_two_and_three_about_as_often() -> None:
    counts = [
        len(run(CONDITIONS["multi/same"], seed, 100, 100, 1.0).mixture.added.placed)
        for seed in range(200)
    ]
    assert 60 < counts.count(2) < 140
    assert counts.count(2) + counts.count(3) == 200


@pytest.mark.parametrize(("latest", "last"), [(0.0, 0), (0.5, 499), (1.0, 999)])
def test_t_add_is_spread_over_what_latest_allows(latest: float, last: int) -> None:
    starts = np.array(
        [
            run(CONDITIONS["same/same"], seed, 1000, 50, latest).mixture.added.placed[0].start
            for seed in range(300)
        ]
    )
    assert starts.min() >= 0
    assert starts.max() <= last
    assert starts.min() <= 0.05 * last
    assert starts.max() >= 0.95 * last
    assert abs(starts.mean() - last / 2) <= 0.1 * last


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_the_same_seed_gives_the_same_mixture(condition: Condition) -> None:
    one, two = (run(condition, 7, 500, 900, 1.0).mixture for _ in range(2))
    other = run(condition, 8, 500, 900, 1.0).mixture
    assert np.array_equal(one.input, two.input)
    assert np.array_equal(one.reference, two.reference)
    assert [s.start for s in one.added.placed] == [s.start for s in two.added.placed]
    assert not np.array_equal(one.input, other.input)


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_on_silence_a_recording_keeps_its_level(condition: Condition) -> None:
    own = noise(np.random.default_rng(0), 40)
    silence = np.zeros(100, np.float32)
    mixture = mix(
        silence,
        lambda: Addition("dog", own, lambda: own),
        condition,
        np.random.default_rng(1),
        0.5,
    )
    for sound in mixture.added.placed:
        assert np.array_equal(sound.samples, own)
    assert not silence.any()


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_a_silent_recording_adds_nothing(condition: Condition) -> None:
    original, silence = noise(np.random.default_rng(0), 100), np.zeros(40, np.float32)
    mixture = mix(
        original,
        lambda: Addition("dog", silence, lambda: silence),
        condition,
        np.random.default_rng(1),
    )
    assert np.array_equal(mixture.input, original)
    assert not mixture.reference.any()


def test_the_conditions_are_the_five_of_table_2() -> None:
    assert {name: (condition.multi, condition.time) for name, condition in CONDITIONS.items()} == {
        "same/same": (False, "same"),
        "same/diff": (False, "diff"),
        "diff/diff": (False, "diff"),
        "multi/same": (True, "same"),
        "multi/diff": (True, "diff"),
    }
    assert [name for name, c in CONDITIONS.items() if c.source == "diff"] == ["diff/diff"]
