"""Shared by every test: where the real data lies, if it is there, and what may be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("AUDIODIFF_DATA", ROOT.parent / "shared" / "data"))
NEEDS_DATA = "(set AUDIODIFF_DATA)"
"""The end of the one reason for which a test may be skipped in CI, where ``CI`` is set."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a program that is missing is a failure, so that no test is left out unnoticed."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        if not reason.endswith(NEEDS_DATA):
            report.outcome = "failed"
            report.longrepr = f"{reason} (in CI nothing is skipped but for want of data)"
    return report


@pytest.fixture(scope="session")
def esc50_dir() -> Path:
    """ESC-50 in its official layout; skips where it is absent."""
    if not (DATA / "ESC-50" / "meta" / "esc50.csv").is_file():
        pytest.skip(f"ESC-50 is not at hand {NEEDS_DATA}")
    return DATA / "ESC-50"


@pytest.fixture(scope="session")
def clotho_dir() -> Path:
    """Clotho's captions in their official layout; skips where they are absent."""
    if not (DATA / "clotho" / "clotho_captions_development.csv").is_file():
        pytest.skip(f"Clotho's captions are not at hand {NEEDS_DATA}")
    return DATA / "clotho"
