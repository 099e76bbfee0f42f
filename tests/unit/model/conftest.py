"""Nothing is trained here; and a file of every format."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.unit.model.audio_files import ENCODERS, RATE, encoded, noise, tone


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    """A fifth of a second of stereo noise and tone in every format."""
    sound = tone(RATE, 2, 0.2) + noise(0.2) / 10
    return {case: encoded(case, sound, RATE) for case in ENCODERS}
