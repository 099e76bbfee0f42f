"""The answers of ``golden.json`` again: caption, timeline, changes, and score to 1e-4."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.captioner import Captioner
from model.types import Style
from service.settings import BUNDLED
from tests.e2e.golden import FILE, Files, ask, edited, explained, recorded, synthetic
from tests.support.client import WAIT_S, eventually
from tests.support.threaded import in_thread

GOLDEN: dict[str, Any] = json.loads(FILE.read_text())
RESAMPLED = ".ogg"
"""Not at the checkpoint's rate: the resampler decides their last digits."""


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    others: dict[Style, Path] = {
        "changes": BUNDLED.with_name("changes"), "explain": BUNDLED.with_name("explain"),
    }  # fmt: skip
    captioner = Captioner.from_dir(BUNDLED, "cpu", others=others)
    with in_thread(captioner) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        client.timeout = httpx.Timeout(WAIT_S)
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client


def compare(service: httpx.Client, inputs: dict[str, Files]) -> None:
    for name, files in inputs.items():
        found, golden = ask(service, name, files), GOLDEN[name]
        assert found["caption"] == golden["caption"], name
        within = 0.02 if name.endswith(RESAMPLED) else 1.01e-4
        assert found["score"] == pytest.approx(golden["score"], abs=within), name
        for one, other in zip(found.get("timeline", ()), golden.get("timeline", ()), strict=True):
            assert one == pytest.approx(other, abs=1.01e-4), name
        for one, other in zip(found.get("changes", ()), golden.get("changes", ()), strict=True):
            assert one == {**other, "confidence": pytest.approx(other["confidence"], abs=1e-2)}


def test_sounds_made_in_code(service: httpx.Client) -> None:
    compare(service, synthetic())


def test_what_has_changed(service: httpx.Client) -> None:
    compare(service, edited())


def test_what_each_is_like(service: httpx.Client) -> None:
    compare(service, explained())


def test_recordings(service: httpx.Client, esc50_dir: Path) -> None:
    compare(service, recorded(esc50_dir))
