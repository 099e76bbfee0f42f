"""Sounds made in code: twelve sources with random parameters, no two alike.

Every source is synthesized from textbook parts: band-limited harmonic tones, damped modes
struck at chosen times, and noise; a random room, tilt and noise floor come on top.

Legend: S samples, K partials.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Render = Callable[[np.random.Generator, Array, int], Array]
"""(rng, times [S] in seconds from 0, sample rate in Hz) -> dry sound [S] of any scale."""

MIN_SAMPLE_RATE = 8000
_HIGHEST = 0.45
"""Partials stay below this fraction of the sample rate, so that nothing folds back."""


def synthesize(
    name: str, rng: np.random.Generator, sample_rate: int = 16000, duration_s: float | None = None
) -> NDArray[np.float32]:
    """A new sound of the source ``name`` (a key of ``SOUNDS``): [S] mono, peak at most 1.

    ``duration_s`` is drawn from 1 to 5 s where it is not given. The same state of ``rng`` gives
    the same sound. Raises ValueError for a rate below 8 kHz or a duration without samples,
    KeyError for an unknown name.
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise ValueError(f"sample_rate must be at least {MIN_SAMPLE_RATE} Hz, got {sample_rate}")
    seconds = rng.uniform(1, 5) if duration_s is None else duration_s
    size = round(seconds * sample_rate)
    if size < 1:
        raise ValueError(f"duration_s must hold at least one sample, got {seconds}")
    times = np.arange(size) / sample_rate
    sound = _colour(SOUNDS[name](rng, times, sample_rate), rng, sample_rate)
    sound /= np.abs(sound).max() + 1e-12
    sound += 10 ** rng.uniform(-3.5, -2) * rng.standard_normal(size)
    sound *= np.clip(np.minimum(times, times[-1] - times) / 0.005, 0, 1)
    sound *= rng.uniform(0.3, 0.95) / (np.abs(sound).max() + 1e-12)
    return sound.astype(np.float32)


def _colour(dry: Array, rng: np.random.Generator, sample_rate: int) -> Array:
    """[S] -> [S]: eight early reflections of a room and a first-order spectral tilt."""
    sound = dry.copy()
    delays_s, wet = rng.uniform(0.003, 0.06, 8), rng.uniform(0, 0.4)
    gains = wet * rng.choice([-1, 1], 8) * np.exp(-delays_s / rng.uniform(0.01, 0.04))
    for shift, gain in zip((delays_s * sample_rate).astype(int), gains, strict=True):
        sound[shift:] += gain * dry[:-shift]
    sound[1:] += rng.uniform(-0.4, 0.6) * sound[:-1]
    return sound


def _harmonics(
    frequency: Array, amplitudes: Array, rng: np.random.Generator, sample_rate: int
) -> Array:
    """Partials 1..K of a gliding fundamental: ``frequency`` [S] Hz, ``amplitudes`` [K] -> [S].

    One cycle is built in a table and read at the running phase (rounded to 1/16384 of a cycle,
    far below the noise floor); partials that would alias at the highest point are left out.
    """
    points = 1 << 14
    partial = np.arange(1, amplitudes.size + 1)
    audible = partial * frequency.max() < _HIGHEST * sample_rate
    spectrum = np.zeros(points // 2 + 1, dtype=complex)
    spectrum[partial] = amplitudes * audible * np.exp(2j * np.pi * rng.random(partial.size))
    cycle: Array = np.fft.irfft(spectrum, points) * points / 2
    phase = np.cumsum(frequency) * (points / sample_rate)
    return cycle.take(phase.astype(int) % points)


def _strike(
    rng: np.random.Generator, low_hz: float, high_hz: float, decay_s: float, sample_rate: int
) -> Array:
    """One impact: five damped modes between two frequencies -> [samples of 6 ``decay_s``]."""
    times = np.arange(int(6 * decay_s * sample_rate) + 1) / sample_rate
    modes = rng.uniform(low_hz, min(high_hz, _HIGHEST * sample_rate), (5, 1))
    decays = decay_s * rng.uniform(0.3, 1, (5, 1))
    partials = np.sin(2 * np.pi * modes * times) * np.exp(-times / decays)
    struck: Array = (rng.uniform(0.3, 1, (5, 1)) * partials).sum(axis=0)
    return struck


def _hit(
    strikes: Sequence[Array], onsets: Array, gains: Array, size: int, sample_rate: int
) -> Array:
    """[size]: the ``strikes`` in turn, one at each of the ``onsets`` (seconds) before the end."""
    sound = np.zeros(size)
    for index, (onset, gain) in enumerate(zip(onsets, gains, strict=True)):
        start = round(onset * sample_rate)
        if start < size:
            piece = strikes[index % len(strikes)][: size - start]
            sound[start : start + piece.size] += gain * piece
    return sound


def _smooth(signal: NDArray[np.generic], width_s: float, sample_rate: int) -> Array:
    """Moving average [S] -> [S]: turns steps into ramps, so that switching does not click."""
    width = max(1, round(width_s * sample_rate))
    padded = np.pad(signal.astype(float), (width - width // 2, width // 2), mode="edge")
    total: Array = np.cumsum(padded)
    return (total[width:] - total[:-width]) / width


def _swell(rng: np.random.Generator, times: Array) -> Array:
    """A slow rise and fall of the level by up to 20%: [S] around 1."""
    swing: Array = np.sin(2 * np.pi * rng.uniform(0.2, 1) * times)
    return 1 + rng.uniform(0, 0.2) * swing


def _siren(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Wail (slow sweep), yelp (fast sweep) or hi-lo (two tones in turn)."""
    period, ratio, sharpness = (
        (rng.uniform(2, 4), rng.uniform(1.7, 2.4), 1),
        (rng.uniform(0.25, 0.45), rng.uniform(1.6, 2.2), 1),
        (rng.uniform(0.8, 1.4), rng.uniform(1.25, 1.5), 20),
    )[rng.integers(3)]
    cycle = np.tanh(sharpness * np.cos(2 * np.pi * (times / period + rng.random())))
    frequency = rng.uniform(450, 650) * ratio ** (0.5 + 0.5 * cycle / np.tanh(sharpness))
    return _harmonics(frequency, rng.uniform(0.1, 0.6) ** np.arange(6), rng, sample_rate)


def _alarm_beep(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """A digital alarm clock: groups of one to four beeps, with a rest after each group."""
    beeps, slot = int(rng.integers(1, 5)), rng.uniform(0.1, 0.22)
    position = times / slot % (beeps + rng.integers(2, 5))
    gate = (position < beeps) & (position % 1 < rng.uniform(0.4, 0.65))
    odd = rng.uniform(0.1, 0.5) ** np.arange(7) * (np.arange(7) % 2 == 0)
    tone = _harmonics(np.full_like(times, rng.uniform(1800, 3200)), odd, rng, sample_rate)
    return tone * _smooth(gate, 0.004, sample_rate)


def _telephone_ring(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Two struck gongs or an electronic warble of two tones, ringing and pausing in turn."""
    pitch = rng.uniform(700, 1200)
    ring, pause = rng.uniform(0.8, 2), rng.uniform(0.5, 2)
    gate = _smooth(times % (ring + pause) < ring, 0.01, sample_rate)
    if rng.random() < 0.5:
        upper = np.tanh(8 * np.sin(2 * np.pi * rng.uniform(12, 24) * times))
        frequency = pitch * rng.uniform(1.2, 1.35) ** (0.5 + 0.5 * upper)
        return gate * _harmonics(frequency, rng.uniform(0.1, 0.5) ** np.arange(5), rng, sample_rate)
    strikes, decay_s = rng.uniform(9, 13), rng.uniform(0.02, 0.06)
    sound = np.zeros_like(times)
    for gong in range(2):
        age = (strikes * times + gong / 2) % 1 / strikes
        modes = pitch * rng.uniform(1, 1.25) * np.array([1, 2.1, 2.9]) * rng.uniform(0.97, 1.03, 3)
        for mode, gain in zip(modes, (1, 0.6, 0.3), strict=True):
            if mode < _HIGHEST * sample_rate:
                sound += gain * np.sin(2 * np.pi * mode * times) * np.exp(-age / decay_s)
    return gate * sound


def _hum(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Mains (50 or 60 Hz and doubles) or any low tone, with a few harmonics and a slow swell."""
    low = rng.uniform(80, 200)
    frequency = np.full_like(times, rng.choice([50, 60, 100, 120, low, low]))
    amplitudes = rng.uniform(0.2, 1, 10) * rng.uniform(0.3, 0.9) ** np.arange(10)
    return _swell(rng, times) * _harmonics(frequency, amplitudes, rng, sample_rate)


def _hiss(rng: np.random.Generator, times: Array, _sample_rate: int) -> Array:
    """White noise with a slow swell."""
    return _swell(rng, times) * rng.standard_normal(times.size)


def _knocks(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Knuckles on wood: groups of two to five knocks."""
    strike = _strike(rng, rng.uniform(100, 200), rng.uniform(500, 900), 0.04, sample_rate)
    contact = rng.standard_normal(strike.size) * np.exp(-np.arange(strike.size) * 500 / sample_rate)
    strike += rng.uniform(0.1, 0.4) * contact
    count, group = int(times[-1] / 0.1) + 2, rng.integers(2, 6)
    last = np.arange(count) % group == group - 1
    gaps = np.where(last, rng.uniform(0.5, 1.2), rng.uniform(0.14, 0.3))
    onsets = np.cumsum(gaps * rng.uniform(0.93, 1.07, count)) - gaps[0] * 0.9
    return _hit([strike], onsets, rng.uniform(0.6, 1, count), times.size, sample_rate)


MORSE = {
    "a": ".-", "b": "-...", "c": "-.-.", "d": "-..", "e": ".", "f": "..-.", "g": "--.",
    "h": "....", "i": "..", "j": ".---", "k": "-.-", "l": ".-..", "m": "--", "n": "-.",
    "o": "---", "p": ".--.", "q": "--.-", "r": ".-.", "s": "...", "t": "-", "u": "..-",
    "v": "...-", "w": ".--", "x": "-..-", "y": "-.--", "z": "--..",
}  # fmt: skip
"""International Morse code (ITU-R M.1677-1, section 1.1.1)."""


def _morse(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Random letters in Morse: dash 3 units, gaps of 1, 3 and 7 (ITU-R M.1677-1, section 2)."""
    unit_s = 1.2 / rng.uniform(12, 28)  # words per minute, by the word "PARIS" of 50 units
    enough = int(times[-1] / unit_s) + 1
    text = rng.choice([*MORSE.values()], enough)
    gaps = rng.choice(["00", "000000"], enough, p=[0.8, 0.2])  # on top of a sign's own unit
    signs = "".join(letter + gap for letter, gap in zip(text, gaps, strict=True))
    key = np.array([*signs.replace(".", "10").replace("-", "1110")])
    gate = key[(times / unit_s).astype(int)] == "1"
    tone = _harmonics(
        np.full_like(times, rng.uniform(450, 1000)),
        rng.uniform(0, 0.3) ** np.arange(4),
        rng,
        sample_rate,
    )
    return tone * _smooth(gate, 0.005, sample_rate)


def _engine(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """A drone of firing harmonics and weaker half orders; the speed wobbles and drifts."""
    speed = rng.uniform(25, 90) * (1 + rng.uniform(-0.2, 0.3) * times / 5)
    steps = np.arange(0, times[-1] + 1, 0.2)
    wobble = np.interp(times, steps, rng.standard_normal(steps.size))
    cycle = speed * (1 + rng.uniform(0.005, 0.03) * wobble) / 2
    order = np.arange(1, 49)
    amplitudes = rng.uniform(0.3, 1, 48) / order ** rng.uniform(0.7, 1.3)
    amplitudes[::2] *= rng.uniform(0.05, 0.4)  # odd multiples of half the firing rate
    drone = _harmonics(cycle, amplitudes, rng, sample_rate)
    drone /= np.abs(drone).max()
    combustion = _smooth(rng.standard_normal(times.size), 0.0004, sample_rate)
    return drone + rng.uniform(0.02, 0.15) * combustion * (1 + drone)


def _whistle(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Whistling that glides up and down, with vibrato and a little breath."""
    step_s = rng.uniform(0.3, 0.9)
    knots = np.arange(0, times[-1] + 2 * step_s, step_s)
    turns = rng.choice([-1, 1]) * (-1.0) ** np.arange(knots.size)
    octaves = np.interp(times, knots, turns * rng.uniform(0.2, 0.6, knots.size))
    vibrato = rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * times)
    frequency = rng.uniform(1000, 1800) * 2 ** (octaves + vibrato)
    tone = _harmonics(frequency, rng.uniform(0.02, 0.15) ** np.arange(3), rng, sample_rate)
    return tone + rng.uniform(0.01, 0.04) * rng.standard_normal(times.size)


def _bouncing_ball(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Impacts whose speed and spacing shrink by the coefficient of restitution at each bounce."""
    restitution = rng.uniform(0.75, 0.88)
    fitting = times[-1] * (1 - restitution) * rng.uniform(0.8, 1)
    first = np.clip(fitting, 0.08, 0.9)
    speeds = restitution ** np.arange(40)
    gaps = (first * speeds)[first * speeds > 0.015]
    onsets = np.concatenate([[0], np.cumsum(gaps)]) + rng.uniform(0, 0.02)
    strike = _strike(rng, rng.uniform(80, 300), rng.uniform(500, 1800), 0.015, sample_rate)
    return _hit([strike], onsets, speeds[: onsets.size], times.size, sample_rate)


def _geiger(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """A Poisson process of short clicks."""
    count = max(1, rng.poisson(rng.uniform(5, 40) * times[-1]))
    onsets = rng.uniform(0, times[-1], count)
    click = _strike(rng, rng.uniform(800, 1500), rng.uniform(2000, 3500), 0.0008, sample_rate)
    return _hit([click], onsets, rng.uniform(0.6, 1, count), times.size, sample_rate)


def _clock_tick(rng: np.random.Generator, times: Array, sample_rate: int) -> Array:
    """Tick and tock in turn, at a constant period."""
    period = min(rng.uniform(0.2, 1), times[-1] / 3 + 0.01)
    onsets = np.arange(rng.uniform(0, 0.2) * period, times[-1], period)
    pitch = rng.uniform(1200, 2500)
    strikes = [_strike(rng, pitch, 2 * pitch, rng.uniform(0.003, 0.008), sample_rate) for _ in "ab"]
    return _hit(strikes, onsets, rng.uniform(0.85, 1, onsets.size), times.size, sample_rate)


SOUNDS: dict[str, Render] = {
    "siren": _siren,
    "alarm_beep": _alarm_beep,
    "telephone_ring": _telephone_ring,
    "hum": _hum,
    "hiss": _hiss,
    "knocks": _knocks,
    "morse": _morse,
    "engine": _engine,
    "whistle": _whistle,
    "bouncing_ball": _bouncing_ball,
    "geiger": _geiger,
    "clock_tick": _clock_tick,
}
"""The sources by name."""
