"""The clips to try: the page's own, decodable, mixed at matched power."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cli import demo
from cli import main as audiodiff
from model.audio import decode
from service.page import WEB

RATE = 32_000


def test_demo_clips_are_the_pages(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert audiodiff.main(["demo-clips", str(tmp_path / "new" / "one")]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.stem for path in written] == [*demo.CLIPS]
    credits_ = (written[0].parent / "CREDITS.md").read_text()
    assert credits_ == (WEB / "demo" / "CREDITS.md").read_text()
    for path in written:
        clip = decode(path.read_bytes(), RATE)
        source = clip.source
        assert (source.format, source.sample_rate, source.channels) == ("wav", RATE, 1)
        assert 3 < clip.duration_s <= 5
        assert soundfile.info(path).subtype == "PCM_16"
        assert 0.1 < clip.samples.abs().max() < 0.96
        bundled = decode((WEB / "demo" / f"{path.stem}.flac").read_bytes(), RATE)
        assert torch.equal(bundled.samples, clip.samples)


def test_the_page_has_each_sound_that_it_offers() -> None:
    script = (WEB / "demo.js").read_text()
    offered = {*re.findall(r'(?:file|input|reference): "([^"]+)"', script)}
    assert offered == {*demo.CLIPS} == {path.stem for path in (WEB / "demo").glob("*.flac")}


def test_every_recording_is_credited() -> None:
    text = (WEB / "demo" / "CREDITS.md").read_text()
    assert {*re.findall("`([^`]+)`", text)} == {*demo.CLIPS}


def test_the_mixed_demo_clip_is_the_sum_of_the_two_at_matched_power(tmp_path: Path) -> None:
    audiodiff.main(["demo-clips", str(tmp_path)])
    woman, bells, both = (
        soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(float)
        for name in ("woman", "church-bells", "woman-and-bells")
    )
    assert np.abs(both - woman - bells).max() <= 2  # each is rounded once
    assert abs(10 * np.log10(np.square(woman).mean() / np.square(bells).mean())) < 0.1


def test_demo_clips_where_a_file_is_in_the_way(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    assert audiodiff.main(["demo-clips", str(tmp_path / "taken")]) == 1
    assert "taken" in capsys.readouterr().err
