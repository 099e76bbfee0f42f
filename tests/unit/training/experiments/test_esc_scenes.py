"""The benchmark: what it is laid out from, and that it is the same everywhere."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from training.captions.layout import Layout
from training.datasets.clotho.read import read_captions
from training.datasets.recording import read_samples
from training.experiments import esc_scenes
from training.experiments.esc_scenes import Roots, plan

HELD = ("Bark", "Dog", "Rain", "Siren", "Bird vocalization, bird call, bird song", "Bird")
AGREEING = ["A dog barks.", "A dog is barking.", "Rain falls while a dog barks."]
OTHER = ["Somebody plays the flute.", "The zeppelin."]


def laid(*captions: str, held: tuple[str, ...] = HELD) -> Layout | None:
    found = plan("a.wav", captions, "clotho", held)
    return found and found.layout


def test_a_scene_has_what_most_captions_name_and_all_captions() -> None:
    found = plan("a.wav", [*AGREEING, *OTHER], "clotho", HELD)
    assert found is not None
    assert found.captions == (*AGREEING, *OTHER)
    assert found.layout.groups == (("Bark",),)  # only one of them hears rain


def test_what_is_named_more_closely_counts_for_what_it_is_a_case_of() -> None:
    captions = ["A dog barks.", "A dog barks loudly.", "A dog is there.", *OTHER]
    assert laid(*captions) == Layout((("Dog",),), ())


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog barks, then rain falls.", Layout((("Bark",), ("Rain",)), ())),
        ("Rain falls as a siren wails in the distance.", Layout((("Rain", "Siren"),), ("Siren",))),
    ],
)
def test_one_caption_is_laid_out_as_it_says(caption: str, expected: Layout) -> None:
    assert laid(caption) == expected


def test_what_the_caption_does_not_name_begins_the_scene() -> None:
    captions = ["A dog barks.", "A dog barks, then a siren.", "Rain and a siren.", "A siren, rain.",
                "A dog barks in the rain."]  # fmt: skip
    found = laid(*captions)
    assert found is not None
    assert found.groups == (("Bark", "Rain"), ("Siren",))


@pytest.mark.parametrize(
    "captions",
    [
        ("A cat meows.",),  # no recording
        ("The zeppelin.",),  # no sound
        (*AGREEING[:2], "A horn.", *OTHER),  # two of five
        ("A dog barks.", "A dog barks at a zeppelin of unheard quality and gold."),
    ],
)
def test_what_cannot_be_laid_out_is_left_out(captions: tuple[str, ...]) -> None:
    assert laid(*captions) is None


def test_most_of_the_real_clotho_is_planned(clotho_dir: Path) -> None:
    from training.captions.ontology import LABELS

    clips = read_captions(clotho_dir, "evaluation")
    found = [clip for clip in clips if plan(clip.file_name, clip.captions, "clotho", LABELS)]
    assert 700 <= len(found) <= 1045


@pytest.mark.usefixtures("_few")
def test_scenes_are_the_same_bit_by_bit_wherever_they_are_built(
    roots: Roots, tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        sizes = esc_scenes.build(roots, tmp_path / folder)
        assert sizes == {
            "train": {"human": 4, "grammar": 2},  # three of Clotho, one of AudioCaps
            "validation": {"human": 1, "grammar": 2},
            "test": {"human": 3, "grammar": 2},
        }
    hashes = set()
    for split in esc_scenes.SPLITS:
        one, two = (esc_scenes.read(tmp_path / folder, split) for folder in ("one", "two"))
        assert one == two
        for clip in one:
            samples = read_samples(tmp_path / "one" / clip.name, esc_scenes.SAMPLE_RATE)
            pcm = np.round(samples * 32768).astype("<i2")
            assert hashlib.sha256(pcm.tobytes()).hexdigest() == clip.sha256
            assert len(samples) == esc_scenes.LENGTH
            assert clip.kinds
            hashes.add(clip.sha256)
    assert len(hashes) == 14


@pytest.mark.usefixtures("_few")
def test_a_split_hears_no_recording_of_another(roots: Roots, tmp_path: Path) -> None:
    esc_scenes.build(roots, tmp_path)
    groups = []
    for split in esc_scenes.SPLITS:
        table = json.loads((tmp_path / "recordings" / split / "recordings.json").read_text())
        groups.append({row["group"] for row in table})
        assert not any("Siren" in row["labels"] for row in table)  # no tagger hears one
    assert sum(map(len, groups)) == len(set.union(*groups))


@pytest.mark.usefixtures("_few")
def test_what_is_built_stays(roots: Roots, tmp_path: Path) -> None:
    esc_scenes.build(roots, tmp_path)
    before = (tmp_path / "train.jsonl").stat().st_mtime_ns
    esc_scenes.build(roots, tmp_path)
    assert (tmp_path / "train.jsonl").stat().st_mtime_ns == before
