"""A frozen encoder's frames: of what they are kept, and that they come back as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.captioner import CaptionerModel
from training.datasets.recording import CaptionedClip, read_samples
from training.samples import features
from training.samples.features import Features, Renderer
from training.scenes.algorithm1 import CONDITIONS, POWERS
from training.scenes.bank import SoundBank


def test_conditions_share_the_input_and_differ_in_the_reference(
    rendered: tuple[list[CaptionedClip], Features],
) -> None:
    captioned, found = rendered
    assert [*found.mixed] == [*CONDITIONS]
    mixtures, references = set(), []
    for clip in range(len(captioned)):
        for variant in range(2):
            drawn = {name: by[clip][variant] for name, by in found.mixed.items()}
            single, multi = (
                {drawn[name].input for name in CONDITIONS if CONDITIONS[name].multi == several}
                for several in (False, True)
            )
            assert len(single) == len(multi) == 1
            mixtures |= single | multi
            references.append(len({one.reference for one in drawn.values()}))
            for one in drawn.values():
                assert not {*one.added} & captioned[clip].kinds
    # A recording that is added late is cut before it sounds, once in a while.
    assert len(mixtures) >= 12
    assert references.count(5) >= 6


def test_frames_are_those_of_a_clip_alone(
    rendered: tuple[list[CaptionedClip], Features], captioner: CaptionerModel, tmp_path: Path
) -> None:
    captioned, found = rendered
    for clip, number in zip(captioned, found.clips, strict=True):
        samples = torch.from_numpy(read_samples(tmp_path / clip.name, 8000))[None]
        with torch.inference_mode():
            alone = captioner.encoder(samples, torch.tensor([samples.shape[1]])).frames[0]
        np.testing.assert_allclose(found.frames[number], alone.numpy(), atol=2e-3)


def test_what_is_kept_is_not_rendered_again(
    rendered: tuple[list[CaptionedClip], Features], tmp_path: Path
) -> None:
    _, found = rendered
    back = features.keep(
        tmp_path / "kept", lambda: pytest.fail("rendered"), [*CONDITIONS], variants=2, joined=True
    )
    assert (back.clips, back.joined) == (found.clips, found.joined)
    assert all(map(np.array_equal, back.frames, found.frames))
    for name, by_clip in found.mixed.items():
        for drawn, drawn_back in zip(by_clip, back.mixed[name], strict=True):
            for one, other in zip(drawn, drawn_back, strict=True):
                assert (one.input, one.reference, one.added) == (
                    other.input, other.reference, other.added
                )  # fmt: skip
                assert np.array_equal(one.active, other.active)


def test_only_what_is_asked_for_is_rendered_and_a_piece_that_lacks_is_made_anew(
    rendered: tuple[list[CaptionedClip], Features], tmp_path: Path, bank: SoundBank,
    captioner: CaptionerModel,
) -> None:  # fmt: skip
    captioned, found = rendered
    renderer = Renderer(tmp_path, captioned, bank, captioner.encoder, seed=7)
    some = features.keep(
        tmp_path / "some", lambda: renderer, ["same/diff"], variants=1, joined=False
    )
    assert {path.name for path in (tmp_path / "some").iterdir()} == {"clips", "same-same-0"}
    assert [*some.mixed] == ["same/same", "same/diff", "diff/diff"]  # they share their mixtures
    assert not some.joined
    shutil.rmtree(tmp_path / "kept" / "same-same-1")
    (tmp_path / "kept" / ".same-same-1").mkdir()  # where it was killed
    back = features.keep(
        tmp_path / "kept", lambda: renderer, [*CONDITIONS], variants=2, joined=True
    )
    assert all(map(np.array_equal, back.frames, found.frames))


def test_a_power_is_of_the_mixture_alone(
    rendered: tuple[list[CaptionedClip], Features], tmp_path: Path, bank: SoundBank,
    captioner: CaptionerModel,
) -> None:  # fmt: skip
    captioned, _ = rendered
    renderer = Renderer(tmp_path, captioned, bank, captioner.encoder, seed=7)
    found = features.keep(
        tmp_path / "kept", lambda: renderer, ["same/same", *POWERS], variants=1, joined=False
    )
    for clip in range(len(captioned)):
        drawn = [found.mixed[name][clip][0] for name in ("same/same", *POWERS)]
        assert len({one.added for one in drawn}) == 1
        # A recording that is added late is cut before it sounds, once in a while.
        if drawn[0].active.any():
            assert len({found.frames[one.input].tobytes() for one in drawn}) == 3
