"""What is mixed with what, where it lies, and what is known of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.captions.naming import apart
from training.captions.sounds import ESC50
from training.datasets.recording import Samples
from training.evaluation import files
from training.evaluation.material import CANVAS_S, LATEST, LEAST_S, REAL_RATE, Clip, Material

ROUNDING = 2 / 32768


def read(data: bytes) -> Samples:
    samples, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    found: Samples = samples
    return found


def close(one: Samples, two: Samples) -> bool:
    return one.shape == two.shape and bool(np.abs(one - two).max() <= ROUNDING)


def test_clips_and_their_labels(material: Material, data: Path) -> None:
    dog = material.esc50[0]
    assert (dog.kind, dog.labels, dog.sample_rate) == ("dog", ESC50["dog"], 16_000)
    assert dog.path == data / "esc50" / "audio" / "5-dog-0.wav"
    names = [clip.name for clip in material.real]
    assert names == ["man-0.wav", "man-1.wav", "rain.wav", "horn.wav"]
    man = material.real[0]
    assert man.labels == ("Male speech, man speaking", "Speech")
    assert man.kind == man.labels[0]
    assert man.heard == ("Speech", "Clicking")
    assert material.real[1].heard == ("Narration, monologue",)
    assert man.seconds == 2.5


def test_each_long_enough_clip_is_mixed_once_with_one_of_another_kind(material: Material) -> None:
    for clips, pairs in (
        (material.esc50, material.esc50_pairs),
        ([clip for clip in material.real if clip.seconds >= LEAST_S], material.real_pairs),
    ):
        assert [pair.original for pair in pairs] == clips
        for pair in pairs:
            assert apart(pair.original.labels, pair.added.labels)
            fellows = [c for c in clips if c.kind == pair.added.kind and c is not pair.added]
            assert (pair.another in fellows) if fellows else pair.another is None


def test_one_mixture_and_its_references(material: Material) -> None:
    starts = []
    for pair in material.esc50_pairs:
        sent = {
            name: {field: read(file) for field, file in pair.files(name).items()}
            for name in ("same/same", "same/diff", "diff/diff", "inverse")
        }
        mixture = sent["same/same"]["input"]
        assert all(np.array_equal(each["input"], mixture) for each in sent.values())
        original, added = pair.original.samples, pair.added.samples
        assert close(sent["inverse"]["reference"], original)
        aligned = sent["same/same"]["reference"]
        assert np.abs(mixture - original - aligned).max() <= 2 * ROUNDING
        start = int(np.flatnonzero(aligned)[0])
        starts.append(start)
        gain = np.sqrt(np.mean(original**2) / np.mean(added**2))
        assert close(aligned[start:], gain * added[: len(aligned) - start])
        assert close(sent["same/diff"]["reference"], gain * added)
        assert pair.another is not None
        assert close(sent["diff/diff"]["reference"], gain * pair.another.samples)
    assert len(set(starts)) > 1
    assert max(starts) <= LATEST * 16_000 + 1


def test_scenes_hold_their_clips(material: Material) -> None:
    assert [canvas.clips[0] for canvas in material.scenes] == material.real
    for canvas in material.scenes:
        assert canvas.scene.length == CANVAS_S * REAL_RATE
        assert canvas.name == " + ".join(clip.name for clip in canvas.clips)
        stems = [canvas.stem(number) for number in range(len(canvas.clips))]
        assert all(np.abs(stem).max() > 0 for stem in stems)
        assert np.allclose(sum(stems), canvas.scene.mix(), atol=1e-6)
        labels = [clip.labels for clip in canvas.clips]
        assert all(apart(a, b) for a in labels for b in labels if a is not b)


def test_events_are_a_pair_at_one_power(material: Material) -> None:
    for canvas, pair in zip(material.events, material.real_pairs, strict=True):
        assert canvas.clips == (pair.original, pair.added)
        first, second = (np.mean(placed.samples**2) for placed in canvas.scene.placed)
        assert first == pytest.approx(second, rel=1e-4)


def test_all_is_decided_by_the_seed(make_material: Callable[..., Material]) -> None:
    def drawn(seed: int) -> list[object]:
        made = make_material(seed)
        return [
            *((pair.added.name, pair.place) for pair in made.esc50_pairs),
            *(canvas.name for canvas in made.scenes),
        ]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_missing_data_is_named(tmp_path: Path) -> None:
    none = Material(esc50=tmp_path, folds=(5,), sounds=tmp_path, teacher=tmp_path, seed=0)
    with pytest.raises(FileNotFoundError, match=r"sounds\.csv is missing"):
        _ = none.scenes
    with pytest.raises(FileNotFoundError, match=r"esc50\.csv is missing"):
        _ = none.esc50_pairs


def test_wav_is_softer_where_it_would_clip() -> None:
    loud = np.array([0.5, -2.0, 1.0], np.float32)
    assert np.allclose(read(files.wav(loud)), loud / 2, atol=ROUNDING)
    soft = np.array([0.5, -0.25, 0.0], np.float32)
    assert np.allclose(read(files.wav(soft)), soft, atol=ROUNDING)
    assert len(read(files.wav(np.zeros(5, np.float32)))) == 5
    assert np.array_equal(read(files.exact(loud / 3, 16_000)), loud / 3)


def test_re_encoded_files_are_what_they_are_called(material: Material) -> None:
    for clip in (material.esc50[0], material.real[0]):
        assert soundfile.info(_file(files.mp3, clip)).format == "MP3"
        info = soundfile.info(_file(files.opus, clip))
        assert (info.format, info.subtype) == ("OGG", "OPUS")
        assert info.frames / info.samplerate == pytest.approx(clip.seconds, abs=0.05)


def _file(encode: Callable[[Samples, int], bytes], clip: Clip) -> io.BytesIO:
    return io.BytesIO(encode(clip.samples, clip.sample_rate))
