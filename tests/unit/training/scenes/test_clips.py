"""Clips of recordings: what is told of them is in them."""

from __future__ import annotations

import numpy as np
import pytest

from model import measures
from training.evaluation.files import wav
from training.scenes import store
from training.scenes.clips import COUNTS, LONGEST_S, Clips
from training.scenes.store import Source

RATE = 8000
HERTZ = {"Dog": 300, "Rain": 1200, "Siren": 3000}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Each kind is a tone."""
    folder, sources = tmp_path_factory.mktemp("clips"), []
    for label, hertz in HERTZ.items():
        for seconds in (1, 3):
            path = folder / f"{label}{seconds}.wav"
            tone = np.sin(2 * np.pi * hertz * np.arange(seconds * RATE) / RATE)
            path.write_bytes(wav(0.3 * tone.astype(np.float32), RATE))
            sources.append(Source(path, path.name, (label,), "train"))
    return Clips(store.build(folder / "store", sources, RATE), sample_rate=RATE, seed=1)


def test_what_is_told_is_in_them(clips: Clips) -> None:
    counts = set()
    for number in range(60):
        samples, facts = clips.clip(number)
        assert np.abs(samples).max() <= 1
        assert len(samples) <= LONGEST_S[1] * RATE
        assert facts.seconds == pytest.approx(len(samples) / RATE)
        assert facts.level_db == pytest.approx(measures.level_db(samples))
        starts = [part.start_s for part in facts.sounds]
        assert starts == sorted(starts)
        counts.add(len(facts.sounds))
        for part in facts.sounds:
            heard = samples[int(part.start_s * RATE) : int(part.end_s * RATE)]
            spectrum = np.square(np.abs(np.fft.rfft(heard)))
            hertz = np.arange(len(spectrum)) * RATE / len(heard)
            near = np.abs(hertz / HERTZ[part.noun.label] - 1) < 0.2
            assert spectrum[near].sum() > 0.02 * spectrum.sum()
    assert counts == set(COUNTS)


def test_a_clip_is_a_function_of_its_number(clips: Clips) -> None:
    one, again, other = (clips.clip(number) for number in (5, 5, 6))
    assert np.array_equal(one[0], again[0])
    assert one[1] == again[1]
    assert one[1] != other[1]
