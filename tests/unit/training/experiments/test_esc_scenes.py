"""The benchmark: which clips of Clotho it is laid out from, and that it is the same everywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from training.captions.layout import Layout
from training.datasets.clotho.read import ClothoClip, read_captions
from training.datasets.recording import read_samples
from training.experiments import esc_scenes
from training.experiments.esc_scenes import renderable, told

AGREEING = ["A dog barks.", "A dog is barking.", "Rain falls while a dog barks."]
OTHER = ["Music plays as a dog barks.", "Somebody plays the flute."]


def test_a_clip_is_rendered_from_the_captions_that_agree_and_speak_of_nothing_else() -> None:
    found = renderable(ClothoClip("a.wav", (*AGREEING, *OTHER), None))
    assert found is not None
    captions, layout = found
    assert captions == tuple(AGREEING)
    assert layout.groups == (("dog",),)  # only one of the three hears rain


def test_a_kind_that_half_of_them_hear_is_in_the_scene() -> None:
    found = renderable(
        ClothoClip("a.wav", (*AGREEING, "It rains and a dog barks.", OTHER[0]), None)
    )
    assert found is not None
    assert {kind for group in found[1].groups for kind in group} == {"dog", "rain"}


def test_a_clip_of_which_two_alone_speak_of_known_sounds_is_left_out() -> None:
    assert (
        renderable(ClothoClip("a.wav", (*AGREEING[:2], *OTHER, "Wind and a dog, and music."), None))
        is None
    )


@pytest.mark.parametrize(
    ("caption", "groups", "background"),
    [
        ("A dog barks, then rain falls on a roof.", (("dog",), ("rain",)), ()),
        # A label that others say, too, adds nothing
        ("Water drips.", (("water_drops",),), ()),
        ("A dog, an animal, growls.", (("dog",),), ()),
        # Which of the kinds that share a label, another label tells
        ("A rooster crows.", (("rooster",),), ()),
        ("A hen clucks.", (("hen",),), ()),
        ("Insects buzz and crickets chirp.", (("insects", "crickets"),), ()),
        # Each kind is where it comes first
        ("A dog barks, a siren wails, then a dog howls.", (("dog", "siren"),), ()),
        ("Rain falls as birds chirp in the distance.", (("rain", "chirping_birds"),),
         ("chirping_birds",)),
    ],
)  # fmt: skip
def test_labels_are_told_as_kinds(
    caption: str, groups: tuple[tuple[str, ...], ...], background: tuple[str, ...]
) -> None:
    assert told(caption) == Layout(groups, background)


@pytest.mark.parametrize(
    "caption",
    [
        "Music plays as a dog barks.",
        "Water runs while birds chirp.",  # what water?
        "A chicken.",  # rooster or hen?
        "An animal.",
        "A dog barks at the zeppelin.",
        "A voice.",
        "",
    ],
)
def test_what_speaks_of_other_sounds_is_not_told(caption: str) -> None:
    assert told(caption) is None


def test_a_part_of_the_real_clotho_is_renderable(clotho_dir: Path) -> None:
    found = [plan for clip in read_captions(clotho_dir, "evaluation") if (plan := renderable(clip))]
    assert 150 <= len(found) <= 300
    assert len({kind for _, plan in found for group in plan.groups for kind in group}) >= 30


@pytest.mark.usefixtures("_few")
def test_scenes_are_the_same_bit_by_bit_wherever_they_are_built(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        sizes = esc_scenes.build(*sources, tmp_path / folder)
        assert sizes == {"train": 5, "validation": 3, "test": 4}
    for split in esc_scenes.SPLITS:
        one, two = (esc_scenes.read(tmp_path / folder, split) for folder in ("one", "two"))
        assert one == two
        for clip in one:
            samples = read_samples(tmp_path / "one" / clip.name, esc_scenes.SAMPLE_RATE)
            pcm = np.round(samples * 32768).astype("<i2")
            assert hashlib.sha256(pcm.tobytes()).hexdigest() == clip.sha256
            assert 10 <= len(samples) / esc_scenes.SAMPLE_RATE <= 15
            assert len(clip.captions) == (3 if clip.subset == "human" else 5)
    hashes = {
        clip.sha256
        for split in esc_scenes.SPLITS
        for clip in esc_scenes.read(tmp_path / "one", split)
    }
    assert len(hashes) == 12
