"""Clips and what the tiny encoder makes of them and of their mixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.captioner import CaptionerModel
from training.datasets.recording import CaptionedClip, Recording
from training.evaluation.files import wav
from training.samples import features
from training.samples.features import Features, Renderer
from training.scenes.algorithm1 import CONDITIONS
from training.scenes.bank import SoundBank


@pytest.fixture
def rendered(
    tmp_path: Path, bank: SoundBank, captioner: CaptionerModel, recordings: list[Recording]
) -> tuple[list[CaptionedClip], Features]:
    """Four clips and what the tiny encoder hears of them and their mixtures."""
    captioned = []
    for number, one in enumerate(recordings[::2]):
        (tmp_path / f"{number}.wav").write_bytes(wav(one.samples, bank.sample_rate))
        told = (f"a {one.kind} is heard", f"the sound of a {one.kind}")
        captioned.append(CaptionedClip(f"{number}.wav", "human", told, ((one.kind, 0.0, 1.0),)))
    renderer = Renderer(tmp_path, captioned, bank, captioner.encoder, seed=7)
    found = features.keep(
        tmp_path / "kept", lambda: renderer, [*CONDITIONS], variants=2, joined=True
    )
    return captioned, found
