"""ESC-50 in its official layout: which clips are read, and in which order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.captions.sounds import ESC50
from training.datasets.esc50 import read as esc50

HEADER = "filename,fold,target,category,esc10,src_file,take"
ROWS = (
    "5-100-A-0.wav,5,0,dog,True,100,A",
    "1-101-A-5.wav,1,5,cat,False,101,A",
    "1-102-A-10.wav,1,10,rain,True,102,A",
    "2-103-B-5.wav,2,5,cat,False,103,B",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four clips of 0.1 s at 44.1 kHz; the level of each says which one it is."""
    (tmp_path / "meta").mkdir()
    (tmp_path / "audio").mkdir()
    (tmp_path / "meta" / "esc50.csv").write_text("\n".join((HEADER, *ROWS)) + "\n")
    for level, row in enumerate(ROWS, start=1):
        samples = np.full(4410, level / 8)
        soundfile.write(tmp_path / "audio" / row.split(",")[0], samples, 44_100)
    return tmp_path


def test_clips_come_in_the_order_of_the_csv(root: Path) -> None:
    clips = esc50.load(root, (1, 2, 5), 44_100)
    assert [(c.name, c.kind, c.split, c.licence) for c in clips] == [
        ("5-100-A-0.wav", "dog", "5", "CC BY 3.0"),
        ("1-101-A-5.wav", "cat", "1", "CC BY-NC 3.0"),
        ("1-102-A-10.wav", "rain", "1", "CC BY 3.0"),
        ("2-103-B-5.wav", "cat", "2", "CC BY-NC 3.0"),
    ]
    for level, clip in enumerate(clips, start=1):
        assert clip.samples.dtype == np.float32
        assert clip.samples.shape == (4410,)
        assert np.allclose(clip.samples, level / 8, atol=1e-4)


def test_clips_are_resampled(root: Path) -> None:
    assert {c.samples.shape for c in esc50.load(root, (1,), 16_000)} == {(1600,)}


@pytest.mark.parametrize(
    ("folds", "names"),
    [
        ((1,), ["1-101-A-5.wav", "1-102-A-10.wav"]),
        ((2, 5), ["5-100-A-0.wav", "2-103-B-5.wav"]),
        ((3,), []),
    ],
)
def test_folds(root: Path, folds: tuple[int, ...], names: list[str]) -> None:
    assert [c.name for c in esc50.load(root, folds, 16_000)] == names


def test_a_missing_data_set_says_how_it_must_lie(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"esc50\.csv is missing.*meta/ and audio/"):
        esc50.load(tmp_path, (1,), 16_000)


def test_training_and_test_folds_do_not_meet() -> None:
    assert esc50.TEST_FOLDS == (5,)
    assert {*esc50.TRAIN_FOLDS, *esc50.VALIDATION_FOLDS} == {1, 2, 3, 4}


def test_the_real_data_set(esc50_dir: Path) -> None:
    rows = esc50.read_meta(esc50_dir)
    assert len(rows) == 2000
    assert Counter(row["category"] for row in rows) == dict.fromkeys(ESC50, 40)
    assert {row["category"] for row in rows if row["esc10"] == "True"} == set(esc50.ESC10)
    assert Counter(row["fold"] for row in rows) == dict.fromkeys("12345", 400)
    assert all((esc50_dir / "audio" / row["filename"]).is_file() for row in rows)


def test_real_recordings_last_five_seconds(
    esc50_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = esc50.read_meta(esc50_dir)[::250]
    monkeypatch.setattr(esc50, "read_meta", lambda _root: rows)
    for clip in esc50.load(esc50_dir, (1, 2, 3, 4, 5), 16_000):
        assert abs(len(clip.samples) - 80_000) < 160
        assert 0.01 < np.abs(clip.samples).max() <= 1
