"""AudioDiffCaps' tables and jams: what is read of a stand-in, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from training.datasets.audiodiffcaps.read import COLUMNS, ClipPair, Layer, layers, read
from training.datasets.errors import DataError

FOLDER = Path("datasets") / "adc_rain" / "dev"
KEYS = ("adc_rain_dev_0000", "adc_rain_dev_0001")


def written(root: Path, captions: dict[str, list[str]]) -> Path:
    """Two pairs, of which one has its first clip alone."""
    (root / FOLDER / "wav").mkdir(parents=True)
    (root / FOLDER / "wav" / f"{KEYS[0]}_s1.wav").touch()
    with (root / FOLDER / "adc_rain_dev.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for key, told in captions.items():
            table.writerow([key, f"{key}_s1.wav", f"{key}_s2.wav", *told])
    return root


def test_pairs_with_as_many_captions_as_there_are(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        {
            KEYS[0]: ["put a cat there", "let a cat in", "", "", ""],
            KEYS[1]: ["less rain", "", "", "", ""],
        },
    )
    clip = root / FOLDER / "wav" / f"{KEYS[0]}_s1.wav"
    assert read(root, "rain", "dev") == [
        ClipPair(KEYS[0], clip, None, ("put a cat there", "let a cat in")),
        ClipPair(KEYS[1], None, None, ("less rain",)),
    ]


@pytest.mark.parametrize(
    ("told", "wrong"), [([""] * 5, "no caption"), (["a", "", "", "", ""], "occurs twice")]
)
def test_a_table_that_is_not_whole_is_refused(told: list[str], wrong: str, tmp_path: Path) -> None:
    root = written(tmp_path, {KEYS[0]: told})
    path = root / FOLDER / "adc_rain_dev.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]))
    with pytest.raises(DataError, match=wrong):
        read(root, "rain", "dev")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="licence"):
        read(tmp_path, "traffic", "eval")
    with pytest.raises(ValueError, match="snow"):
        read(tmp_path, "snow", "eval")


def annotated(namespace: str = "scaper", **without: Any) -> dict[str, Any]:
    value = {
        "label": "dog", "source_file": "/data/ev/1-100-A-0.wav", "role": "foreground",
        "event_time": 2.5, "event_duration": 3.25, "source_time": 0.5, "snr": 6.0,
        "event_time_unused": None, "pitch_shift": None,
    }  # fmt: skip
    event = {"time": 2.5, "duration": 3.25, "value": {**value, **without}}
    return {"annotations": [{"namespace": "other", "data": []},
                            {"namespace": namespace, "data": [event]}]}  # fmt: skip


def test_layers_of_a_first_clip(tmp_path: Path) -> None:
    path = tmp_path / FOLDER / "jams" / f"{KEYS[0]}_s1.jams"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(annotated()))
    assert layers(tmp_path, "rain", "dev", KEYS[0]) == [
        Layer("dog", "1-100-A-0.wav", "foreground", 2.5, 3.25, 0.5, 6.0)
    ]
    for wrong in (annotated("foreign"), annotated(snr=None), {}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match="does not say"):
            layers(tmp_path, "rain", "dev", KEYS[0])
