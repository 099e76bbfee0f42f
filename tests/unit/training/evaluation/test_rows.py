"""What each row asks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from model.encoders.efficientat import EfficientAtNetwork
from training.datasets.recording import Samples
from training.evaluation.material import Material
from training.evaluation.row import Case
from training.evaluation.rows import CHANGES, MIXTURES, ROWS, SAME


def cases(name: str, material: Material) -> list[Case]:
    return list(ROWS[name].cases(material))


def sent(case: Case) -> list[dict[str, Samples]]:
    return [
        {field: soundfile.read(io.BytesIO(file), dtype="float32")[0] for field, file in one.items()}
        for one in case.make()
    ]


def test_single_clips_are_sent_as_they_are_stored(material: Material) -> None:
    for name, clips in (
        ("esc50", material.esc50),
        ("esc10", material.esc50[:2]),
        ("real", material.real),
    ):
        asked = cases(name, material)
        assert [case.name for case in asked] == [clip.name for clip in clips]
        for case, clip in zip(asked, clips, strict=True):
            assert case.make() == [{"file": clip.path.read_bytes()}]
            assert (case.wanted, case.unwanted) == ((clip.labels,), ())


@pytest.mark.parametrize("name", MIXTURES)
def test_what_is_wanted_of_a_mixture_and_what_is_not(name: str, material: Material) -> None:
    for row, pairs in ((name, material.esc50_pairs), (f"real-{name}", material.real_pairs)):
        asked = cases(row, material)
        assert len(asked) == sum(name != "other-clip" or bool(pair.another) for pair in pairs)
        by_name = {f"{pair.original.name} + {pair.added.name}": pair for pair in pairs}
        for case in asked:
            pair = by_name[case.name]
            first, second = (pair.original, pair.added)[:: -1 if name == "inverse" else 1]
            assert (case.wanted, case.unwanted) == ((first.labels,), (second.labels,))
            assert (case.kind, case.other) == (first.kind, second.kind)
            assert case.make() == [pair.files(MIXTURES[name][0])]


def test_the_rule_knows_captions_of_the_same_files(material: Material) -> None:
    for name in MIXTURES:
        mixed, apart = cases(f"real-{name}", material), cases(f"rule-{name}", material)
        for one, other in zip(mixed, apart, strict=True):
            assert one.name == other.name
            assert (one.wanted, one.unwanted) == (other.wanted, other.unwanted)
            files = one.make()[0]
            assert other.make() == [{"file": files["input"]}, {"file": files["reference"]}]


@pytest.mark.parametrize("name", SAME)
def test_a_clip_against_itself(name: str, material: Material) -> None:
    asked = cases(name, material)
    assert len(asked) == len(material.esc50) + len(material.real)
    for case in (asked[0], asked[-1]):
        assert case.wanted == ()
        [files] = case.make()
        [heard] = sent(case)
        if name == "equal":
            assert files["input"] == files["reference"]
        elif name == "softer":
            assert np.allclose(heard["reference"], heard["input"] * 10 ** (-6 / 20), atol=1e-4)
        else:
            kind = {"mp3": "MP3", "opus": "OGG"}[name]
            assert soundfile.info(io.BytesIO(files["reference"])).format == kind


@pytest.mark.parametrize("name", CHANGES)
def test_a_clip_and_what_a_change_makes_of_it(name: str, material: Material) -> None:
    clip = material.real[0]
    before, after = (one["file"] for one in sent(cases(name, material)[0]))
    assert max(np.abs(before).max(), np.abs(after).max()) <= 1
    expected = {
        "minus-40-db": before / 100,
        "minus-20-db": before / 10,
        "plus-20-db": before * 10,
        "offset": before * 0.9 + 0.1,
        "inverted": -before,
        "moved": np.concatenate([np.zeros(3200), before]),
    }[name]
    assert np.allclose(after, expected, atol=1e-6)
    if name != "plus-20-db":
        assert np.array_equal(before, clip.samples)


def test_scenes_say_what_is_there(material: Material) -> None:
    strict, lenient = cases("false", material), cases("false-unheard", material)
    for case, other, canvas in zip(strict, lenient, material.scenes, strict=True):
        assert case.wanted == other.wanted == tuple(clip.labels for clip in canvas.clips)
        assert case.unwanted == ()
        heard = {label for clip in canvas.clips for label in clip.heard}
        assert {label for (label,) in other.unwanted} == heard
        assert np.allclose(sent(case)[0]["file"], canvas.scene.mix(), atol=1e-4)


def test_timelines_have_an_unaligned_reference(material: Material) -> None:
    for case, canvas in zip(cases("timeline", material), material.events, strict=True):
        [files] = sent(case)
        assert np.allclose(files["input"], canvas.scene.mix(), atol=1e-4)
        assert np.allclose(files["reference"], canvas.scene.placed[1].samples, atol=1e-4)
        assert case.truth is not None
        assert np.array_equal(case.truth(), canvas.stem(0))


def test_events_are_held_against_the_teacher(material: Material, data: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"teacher\.pt is missing"):
        cases("events", material)
    torch.manual_seed(0)
    torch.save(EfficientAtNetwork().state_dict(), data / "teacher.pt")
    asked = cases("events", material)
    assert [case.name for case in asked] == [clip.name for clip in material.real]
    truth = asked[3].truth  # half a second
    assert truth is not None
    assert truth().shape == (527,)
    assert ((truth() > 0) & (truth() < 1)).all()


def test_time_is_taken_alone_and_of_what_was_not_heard_before(material: Material) -> None:
    assert ROWS["encode"].clients == 1
    heard = {case.make()[0]["file"] for case in cases("false", material)}
    assert not any(case.make()[0]["file"] in heard for case in cases("encode", material))
