"""Clips made in code: the same every time, decodable, mixed at matched power."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cli import demo
from cli import main as audiodiff
from model.audio import decode


def test_demo_clips_are_the_same_every_time_and_decode(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert audiodiff.main(["demo-clips", str(tmp_path / "new" / "one")]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert audiodiff.main(["demo-clips", str(tmp_path / "two")]) == 0
    assert {path.stem for path in written} == {*demo.SOUNDS, "siren-and-knocks"}
    for path in written:
        data = path.read_bytes()
        assert data == (tmp_path / "two" / path.name).read_bytes()
        clip = decode(data, demo.RATE)
        source = clip.source
        assert (source.format, source.sample_rate, source.channels) == ("wav", demo.RATE, 1)
        assert clip.duration_s == demo.SECONDS
        assert soundfile.info(path).subtype == "PCM_16"
        assert 0.1 < clip.samples.abs().max() < 0.96


def test_the_mixed_demo_clip_is_the_sum_of_the_two_at_matched_power(tmp_path: Path) -> None:
    audiodiff.main(["demo-clips", str(tmp_path)])
    siren, knocks, both = (
        soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(float)
        for name in ("siren", "knocks", "siren-and-knocks")
    )
    assert np.abs(both - siren - knocks).max() <= 2  # each is rounded once
    assert abs(10 * np.log10(np.square(siren).mean() / np.square(knocks).mean())) < 0.1


def test_demo_clips_where_a_file_is_in_the_way(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    assert audiodiff.main(["demo-clips", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err
