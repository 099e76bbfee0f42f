"""Folders in the layouts of ESC-50 and of Clotho's captions, and a benchmark of a few scenes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.recordings import tone, write
from training.datasets.recording import Recording
from training.evaluation.files import wav
from training.experiments import esc_scenes
from training.experiments.esc_scenes import Roots

AGREEING = ["A dog barks.", "A dog is barking.", "Rain falls while a dog barks."]
OTHER = ["Music plays as a dog barks.", "Somebody plays the flute."]


def esc50_root(folder: Path, recordings: list[Recording]) -> Path:
    """Two recordings of each kind in each fold, in the official layout."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    with (folder / "meta" / "esc50.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "fold", "target", "category", "esc10", "src_file", "take"])
        for fold in range(1, 6):
            for number, one in enumerate(recordings):
                name = f"{fold}-{number}.wav"
                moved = np.roll(one.samples, 100 * fold)
                (folder / "audio" / name).write_bytes(wav(moved))
                writer.writerow([name, fold, 0, one.kind, False, number, "A"])
    return folder


def clotho_root(folder: Path) -> Path:
    """A clip or two in every split."""
    folder.mkdir()
    for split, count in (("development", 3), ("validation", 1), ("evaluation", 2)):
        with (folder / f"clotho_captions_{split}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", *(f"caption_{n}" for n in range(1, 6))])
            for number in range(count):
                writer.writerow([f"{split}{number}.wav", *AGREEING, *OTHER])
            writer.writerow(["other.wav", *(OTHER[0],) * 5])
    return folder


def sounds_root(folder: Path) -> Path:
    """A recording of each of two kinds in each split; of one of them the tagger thinks nothing."""
    (folder / "audio").mkdir(parents=True)
    lines = ["file,labels,source,original_path,licence,credit,split,label_rank"]
    for split in ("train", "validation"):
        for kind, rank in (("Meow", 1), ("Siren", 300)):
            name = f"audio/{split}-{kind}.wav"
            write(folder / name, tone(kind))
            lines.append(f"{name},{kind},ours,{name},CC0,,{split},{rank}")
    (folder / "sounds.csv").write_text("\n".join(lines))
    return folder


def audiocaps_root(folder: Path) -> Path:
    """A clip of one caption to train on, and one of five to test on."""
    folder.mkdir()
    head = "audiocap_id,youtube_id,start_time,caption\n"
    (folder / "train.csv").write_text(head + "1,a,0,A cat meows\n2,b,0,A siren wails\n")
    (folder / "val.csv").write_text(head + "3,c,0,A cat meows\n")
    meows = "".join(f"{n},d,30,A cat meows loudly\n" for n in range(4, 9))
    (folder / "test.csv").write_text(head + meows)
    return folder


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory, recordings: list[Recording]) -> Roots:
    """Folders in the layouts of the data sets."""
    folder = tmp_path_factory.mktemp("sources")
    return Roots(
        esc50_root(folder / "esc50", recordings),
        sounds_root(folder / "sounds"),
        clotho_root(folder / "clotho"),
        audiocaps_root(folder / "audiocaps"),
    )


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {name: replace(split, grammar=2) for name, split in esc_scenes.SPLITS.items()}
    monkeypatch.setattr(esc_scenes, "SPLITS", small)
    monkeypatch.setattr(esc_scenes, "LENGTH", 2 * esc_scenes.SAMPLE_RATE)
