"""Each synthetic sound is valid audio, reproducible, and has the physics of its source."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.scenes.synthetic import MORSE, SOUNDS, synthesize

Array = NDArray[Any]
RATE = 16000
SEEDS = range(8)

everything = pytest.mark.parametrize("name", list(SOUNDS))
seeds = pytest.mark.parametrize("seed", SEEDS)


def render(name: str, seed: int, seconds: float = 5, sample_rate: int = RATE) -> Array:
    """The dry sound, before room, noise floor and level."""
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    sound: Array = SOUNDS[name](np.random.default_rng(seed), times, sample_rate)
    return sound


def frames(sound: Array, width_s: float, hop_s: float) -> Array:
    """[T, W] windows of the sound."""
    width, hop = int(width_s * RATE), int(hop_s * RATE)
    starts = np.arange(0, sound.size - width + 1, hop)
    windows: Array = sound[starts[:, None] + np.arange(width)]
    return windows


def pitch_track(sound: Array) -> Array:
    """[T] the strongest frequency every 5 ms, in Hz."""
    windows = frames(sound, 0.02, 0.005)
    spectra: Array = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), 4096))
    strongest: Array = spectra.argmax(axis=1)
    return strongest * RATE / 4096


def onsets(sound: Array, apart_s: float, rise: float = 8.0, step_s: float = 0.001) -> Array:
    """[N] seconds at which the energy of a step jumps, at least ``apart_s`` after the last jump."""
    energy = (frames(sound, step_s, step_s) ** 2).sum(axis=1) + 1e-9 * (sound**2).max()
    times = np.flatnonzero(energy[1:] > rise * energy[:-1]) * step_s
    return times[np.diff(times, prepend=-np.inf) > apart_s]


def runs(gate: NDArray[np.bool_]) -> list[tuple[bool, int]]:
    """(on, samples) of each stretch."""
    edges = [0, *(np.flatnonzero(np.diff(gate)) + 1), gate.size]
    return [(bool(gate[a]), b - a) for a, b in pairwise(edges)]


def loud(sound: Array) -> NDArray[np.bool_]:
    """[S] where the sound is on: its Hilbert envelope over 3 ms is above half the peak's."""
    spectrum = np.fft.fft(sound)
    spectrum[sound.size // 2 :] = 0
    envelope = np.pad(np.abs(np.fft.ifft(spectrum)), (24, 23), mode="edge")
    envelope = np.convolve(envelope, np.ones(48) / 48, mode="valid")
    return np.asarray(envelope > np.quantile(envelope, 0.95) / 2)


def power(sound: Array) -> tuple[Array, Array]:
    """Power spectrum: frequencies in Hz and power."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
    return np.fft.rfftfreq(sound.size, 1 / RATE), spectrum


@everything
@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_sounds_are_valid_audio(name: str, sample_rate: int) -> None:
    sound = synthesize(name, np.random.default_rng(3), sample_rate, duration_s=1.5)
    assert sound.dtype == np.float32
    assert sound.shape == (1.5 * sample_rate,)
    assert np.isfinite(sound).all()
    assert 0.29 < np.abs(sound).max() <= 1
    assert np.sqrt((sound**2).mean()) > 0.003


@everything
def test_very_short_sounds_hold(name: str) -> None:
    for duration_s in (1 / RATE, 0.001, 0.05):
        sound = synthesize(name, np.random.default_rng(0), RATE, duration_s)
        assert sound.shape == (round(duration_s * RATE),)
        assert np.isfinite(sound).all()


@everything
def test_the_generator_decides_the_sound(name: str) -> None:
    first, again, other = (synthesize(name, np.random.default_rng(s), RATE, 2.0) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    # No two alike: not the same waveform at another level either.
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.9


def test_drawn_durations_span_one_to_five_seconds() -> None:
    rng = np.random.default_rng(0)
    seconds = np.array([synthesize("geiger", rng, 8000).size / 8000 for _ in range(60)])
    assert seconds.min() >= 1
    assert seconds.max() <= 5
    assert np.ptp(seconds) > 3


def test_what_cannot_be_made_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="sample_rate"):
        synthesize("hum", rng, 7999)
    with pytest.raises(ValueError, match="duration_s"):
        synthesize("hum", rng, RATE, 0.0)
    with pytest.raises(KeyError):
        synthesize("theremin", rng)


@seeds
def test_siren_sweeps_back_and_forth_across_its_range(seed: int) -> None:
    pitch = pitch_track(render("siren", seed))
    low, high = np.quantile(pitch, [0.02, 0.98])
    assert 430 < low < high < 1650
    assert 1.2 < high / low < 2.5
    # 5 s hold more than one period of the slowest wail: the middle is crossed at least twice.
    assert np.count_nonzero(np.diff(pitch > np.sqrt(low * high))) >= 2


def test_sirens_come_as_wail_yelp_and_hi_lo() -> None:
    crossings, shares = [], []
    for seed in range(16):
        pitch = pitch_track(render("siren", seed))
        low, high = np.quantile(pitch, [0.02, 0.98])
        crossings.append(np.count_nonzero(np.diff(pitch > np.sqrt(low * high))))
        shares.append(np.mean((pitch < low * 1.05) | (pitch > high / 1.05)))
    assert max(shares) > 0.8, "no siren stays on two tones"
    sweeping = np.array(crossings)[np.array(shares) < 0.8]
    assert sweeping.min() < 8, "no slow wail"
    assert sweeping.max() > 15, "no fast yelp"


@seeds
def test_alarm_beeps_are_equally_long(seed: int) -> None:
    sound = render("alarm_beep", seed)
    frequency, spectrum = power(sound)
    assert 1790 < frequency[spectrum.argmax()] < 3210
    beeps = np.array([length for on, length in runs(loud(sound))[:-1] if on]) / RATE
    assert beeps.size >= 4
    assert np.ptp(beeps) < 0.004
    assert 0.03 < beeps.mean() < 0.15


def test_partials_above_nyquist_are_left_out() -> None:
    # The third harmonic of an alarm is above 5.4 kHz: at a rate of 8 kHz only the tone remains.
    for seed in SEEDS:
        sound = render("alarm_beep", seed, sample_rate=8000)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
        frequency = np.fft.rfftfreq(sound.size, 1 / 8000)
        near = np.abs(frequency - frequency[spectrum.argmax()]) < 150
        assert spectrum[near].sum() > 0.99 * spectrum.sum()


@seeds
def test_telephone_alternates_between_its_tones(seed: int) -> None:
    windows = frames(render("telephone_ring", seed)[: int(0.7 * RATE)], 0.02, 0.004)
    spectra = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), axis=1))
    modulation = np.abs(np.fft.rfft(spectra - spectra.mean(axis=0), 4096, axis=0)).sum(axis=1)
    rate = np.fft.rfftfreq(4096, 0.004)[modulation.argmax()]
    assert 8 < rate < 27
    tone = spectra[:, spectra.sum(axis=0).argmax()]
    assert tone.std() > 0.2 * tone.mean()


def test_telephones_pause_between_rings() -> None:
    for seed in SEEDS:
        level = np.abs(frames(render("telephone_ring", seed), 0.1, 0.1)).max(axis=1)
        assert (level < 0.05 * level.max()).any()
        assert level[0] > 0.3 * level.max()


@seeds
def test_hum_has_its_energy_at_harmonics(seed: int) -> None:
    frequency, spectrum = power(render("hum", seed))
    first = np.flatnonzero(spectrum > 0.005 * spectrum.max())[0]
    fundamental = frequency[first + spectrum[first : first + 10].argmax()]
    assert 48 < fundamental < 202
    off = np.abs(frequency / fundamental - np.round(frequency / fundamental)) * fundamental
    assert spectrum[off < 0.05 * fundamental].sum() > 0.99 * spectrum.sum()


@seeds
def test_hiss_is_spectrally_flat(seed: int) -> None:
    _, spectrum = power(render("hiss", seed))
    bands = spectrum[: spectrum.size // 16 * 16].reshape(16, -1).mean(axis=1)
    assert np.ptp(10 * np.log10(bands)) < 1  # dB


@seeds
def test_knocks_are_low_separate_impacts(seed: int) -> None:
    sound = render("knocks", seed)
    frequency, spectrum = power(sound)
    assert spectrum[frequency < 1200].sum() > 0.8 * spectrum.sum()
    knocks = onsets(sound, apart_s=0.1, rise=4, step_s=0.01)
    assert 6 <= knocks.size <= 35
    start = int((knocks[0] + 0.01) * RATE)
    energy = sound[start : start + int(0.12 * RATE)] ** 2
    assert energy[: energy.size // 2].sum() > 0.9 * energy.sum()


@seeds
def test_morse_keeps_its_units_and_spells_letters(seed: int) -> None:
    stretches = runs(loud(render("morse", seed)))[:-2]  # the last may be cut by the end
    on = np.array([length for is_on, length in stretches if is_on])
    off = np.array([length for is_on, length in stretches if not is_on])
    unit = min(np.concatenate([on, off]))
    for lengths, allowed in ((on, (1, 3)), (off, (1, 3, 7))):
        units = lengths / unit
        nearest = np.array(allowed)[np.abs(units[:, None] - allowed).argmin(axis=1)]
        assert np.abs(units - nearest).max() < 0.4
    assert 0.035 < unit / RATE < 0.105
    text = "".join(
        (".-" if is_on else ("", " "))[int(length > 2 * unit)] for is_on, length in stretches
    )
    letters = text.split(" ")[:-1]
    assert len(letters) >= 3
    assert set(letters) <= set(MORSE.values())


def test_morse_code_is_the_international_one() -> None:
    assert len(set(MORSE.values())) == 26
    assert " ".join(MORSE[letter] for letter in "paris") == ".--. .- .-. .. ..."
    assert [MORSE[letter] for letter in "eqyz"] == [".", "--.-", "-.--", "--.."]
    assert all(re.fullmatch(r"[.-]{1,4}", code) for code in MORSE.values())


@seeds
def test_engine_fires_periodically_with_wobble(seed: int) -> None:
    windows = frames(render("engine", seed), 0.25, 0.25)
    spectra = np.abs(np.fft.rfft(windows, 2 * windows.shape[1])) ** 2
    correlation = np.fft.irfft(spectra)[:, : windows.shape[1]]
    correlation /= correlation[:, :1]
    low, high = int(RATE / 120), int(RATE / 8)  # from one firing to a cycle of two, slowest
    periods = (low + correlation[:, low:high].argmax(axis=1)) / RATE
    assert np.median(correlation[:, low:high].max(axis=1)) > 0.4
    octaves = np.log2(periods / np.median(periods))
    octaves -= np.round(octaves)  # one firing or two: half orders are there, but weaker
    assert np.quantile(np.abs(octaves), 0.8) < 0.3
    assert np.ptp(octaves) > 0.002, "no wobble"


@seeds
def test_whistle_is_one_gliding_tone(seed: int) -> None:
    sound = render("whistle", seed)
    pitch = pitch_track(sound)
    assert 600 < pitch.min() < pitch.max() < 2850
    assert pitch.max() / pitch.min() > 1.2
    assert np.abs(np.diff(np.log2(pitch))).max() < 0.15, "a glide does not jump"
    windows = frames(sound, 0.02, 0.005)
    spectra = np.abs(np.fft.rfft(windows * np.hanning(windows.shape[1]), 4096)) ** 2
    near = np.abs(np.arange(2049) * RATE / 4096 - pitch[:, None]) < 150
    assert np.median((spectra * near).sum(axis=1) / spectra.sum(axis=1)) > 0.9


@seeds
def test_bounces_come_closer_geometrically(seed: int) -> None:
    gaps = np.diff(onsets(render("bouncing_ball", seed), apart_s=0.08, rise=20))
    clear = gaps[: np.argmax(gaps < 0.2)]  # later ones run into each other's tails
    ratios = clear[1:] / clear[:-1]
    assert ratios.size >= 3
    assert 0.73 < ratios.mean() < 0.9
    assert np.ptp(ratios) < 0.03


@seeds
def test_geiger_clicks_are_a_poisson_process(seed: int) -> None:
    gaps = np.diff(onsets(render("geiger", seed, seconds=60), apart_s=0.003, rise=3))
    assert 4 < 1 / gaps.mean() < 42
    # Exponential: the deviation equals the mean, and exp(-1) of the gaps are longer than it.
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.15)
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), abs=0.06)


@seeds
def test_clock_ticks_at_a_constant_period(seed: int) -> None:
    periods = np.diff(onsets(render("clock_tick", seed), apart_s=0.05))
    assert 0.19 < periods.mean() < 1.01
    assert np.ptp(periods) < 0.004
