"""Fixtures shared by every test: where the real data lies, if it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("AUDIODIFF_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def esc50_dir() -> Path:
    """ESC-50 in its official layout; skips where it is absent."""
    if not (DATA / "ESC-50" / "meta" / "esc50.csv").is_file():
        pytest.skip("ESC-50 is not at hand (set AUDIODIFF_DATA)")
    return DATA / "ESC-50"


@pytest.fixture(scope="session")
def clotho_dir() -> Path:
    """Clotho's captions in their official layout; skips where they are absent."""
    if not (DATA / "clotho" / "clotho_captions_development.csv").is_file():
        pytest.skip("Clotho's captions are not at hand (set AUDIODIFF_DATA)")
    return DATA / "clotho"
