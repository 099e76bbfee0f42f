"""The benchmark of training: every stage of the recipe runs on sounds made in code."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks.training import __main__ as benchmark


def test_every_stage_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "--rounds", "1", "--batch", "2"])
    benchmark.main()
    shown = capsys.readouterr().out
    rows = re.findall(r"^\| (\w+) \| (\d) \| ([\d.]+) \| ([\d.]+) \|$", shown, re.MULTILINE)
    assert [(stage, int(size)) for stage, size, _, _ in rows] == [
        ("head", 2), ("hearing", 2), ("sentences", 4), ("differences", 4), ("captions", 2),
        ("claims", 4),
    ]  # fmt: skip
    assert all(float(rate) > 0 for row in rows for rate in row[2:])
