"""The dry run: Clotho's layout, the published import and the whole study, at a small size."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks.reproduction import __main__ as dry_run
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, SubtractionConfig
from model.published import dcase2023
from tests.unit.training.experiments.test_reproduce import GENERATION, scored
from training.evaluation import coco
from training.experiments.esc_scenes import Roots
from training.recipes import adl


def test_table_1_on_a_stand_in_of_clotho(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = CaptionerConfig(
        encoder=Cnn14Config(widths=(4, 4, 4, 4, 4, 8), fixed_frames=2048),
        difference=SubtractionConfig(),
        decoder=BartDecoderConfig(vocab_size=400, width=16, layers=1, heads=2, ffn=32),
    )
    monkeypatch.setattr(dcase2023, "published", lambda: small)
    monkeypatch.setattr(dry_run, "SECONDS", (5.0, 6.0))
    monkeypatch.setattr(coco, "score", scored)
    monkeypatch.setattr(adl, "baseline_search", lambda **_: GENERATION)
    arguments = ["--clips", "2", "--steps", "1", "--esc50", str(roots.esc50)]
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    dry_run.main()
    shown = capsys.readouterr().out
    assert re.search(r"^\| frames \| \d+ s \| [\d.]+ h \|$", shown, re.MULTILINE)
    assert "| 4 rows, one seed, learned and tested |" in shown
    assert "4 steps of 2 |" in shown
    assert "19,192 steps of 32" in shown
