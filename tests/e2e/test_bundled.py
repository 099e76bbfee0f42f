"""The bundled checkpoint behind the real command: a server process, HTTP, and recordings."""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from cli.demo import write
from tests.support.audio import by_soundfile
from tests.support.client import WAIT_S, eventually
from tests.support.process import listening
from training.captions.sounds import ESC50, mentions, names

WOMAN = "Female speech, woman speaking"
RATE = 16_000


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    """``audiodiff serve`` on a free port, stopped by SIGTERM, which must end it with 0."""
    arguments = ["cli", "serve", "--log-format", "console"]
    with (
        listening(arguments) as (child, address, _),
        httpx.Client(base_url=address, timeout=WAIT_S) as client,
    ):
        eventually(lambda: client.get("/readyz").status_code == 200)
        yield client
        child.send_signal(signal.SIGTERM)
        assert child.wait(WAIT_S) == 0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What ``audiodiff demo-clips`` writes, by name."""
    return {path.stem: path.read_bytes() for path in write(tmp_path_factory.mktemp("clips"))}


def caption(service: httpx.Client, data: bytes) -> dict[str, Any]:
    """POST /caption."""
    answer: dict[str, Any] = (
        service.post("/caption", files={"file": ("clip", data)}).raise_for_status().json()
    )
    return answer


def difference(service: httpx.Client, one: bytes, other: bytes, **options: str) -> dict[str, Any]:
    """POST /difference."""
    files = {"input": ("input", one), "reference": ("reference", other)}
    response = service.post("/difference", files=files, data=options)
    answer: dict[str, Any] = response.raise_for_status().json()
    return answer


def test_the_clips_of_the_readme(service: httpx.Client, clips: dict[str, bytes]) -> None:
    assert names(str(caption(service, clips["woman"])["caption"]), WOMAN)
    answer = difference(service, clips["woman-in-rain"], clips["rain"])
    assert names(str(answer["caption"]), "Speech")
    assert not names(str(answer["caption"]), "Rain")
    inverse = difference(service, clips["woman-in-rain"], clips["woman"])
    assert names(str(inverse["caption"]), "Rain")
    assert not names(str(inverse["caption"]), "Speech")
    for name, clip in clips.items():
        assert not mentions(str(difference(service, clip, clip)["caption"])), name


def test_the_sounds_of_the_readme(service: httpx.Client, clips: dict[str, bytes]) -> None:
    def labels(sounds: Any) -> set[str]:
        return {sound["label"] for sound in sounds}

    answer = difference(service, clips["woman-in-rain"], clips["rain"], both="true")
    assert "Speech" in labels(answer["sounds"])
    assert "Rain" not in labels(answer["sounds"])
    assert "Rain" in labels(answer["shared"])
    assert "Speech" not in labels(answer["shared"])
    assert not {"Rain", "Speech"} & labels(answer["reverse"]["sounds"])
    heard = caption(service, clips["woman-in-rain"])["sounds"]
    assert {"Speech", "Rain"} <= labels(heard)


def test_real_recordings_are_called_by_their_names(service: httpx.Client, esc50_dir: Path) -> None:
    """Ten recordings that were trained on: what is tested is the road, not the generalization."""
    with (esc50_dir / "meta" / "esc50.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["fold"] == "1" and row["esc10"] == "True"
        ]
    chosen = {row["category"]: row for row in rows}
    assert len(chosen) == 10

    def right(row: dict[str, str]) -> bool:
        data = (esc50_dir / "audio" / row["filename"]).read_bytes()
        said = str(caption(service, data)["caption"])
        return any(names(said, label) for label in ESC50[row["category"]])

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(right, chosen.values())) >= 8


@pytest.mark.parametrize("level", [-40, -20, 6])
def test_level_is_not_content(service: httpx.Client, clips: dict[str, bytes], level: int) -> None:
    samples, rate = soundfile.read(io.BytesIO(clips["woman"]))
    there = by_soundfile(0.05 + samples * 10 ** (level / 20), rate)  # and neither is DC
    assert names(str(caption(service, there)["caption"]), WOMAN)


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_next_to_nothing_is_not_given_a_name(service: httpx.Client, level: float) -> None:
    noise = level * np.random.default_rng(0).standard_normal(5 * RATE)
    assert not mentions(str(caption(service, by_soundfile(noise, RATE))["caption"]))


def test_an_answer_in_a_batch_equals_the_answer_alone(
    service: httpx.Client, clips: dict[str, bytes]
) -> None:
    bells, rate = soundfile.read(io.BytesIO(clips["church-bells"]))
    clips = clips | {"short": by_soundfile(bells[:23_456], rate)}
    alone = {name: caption(service, data)["caption"] for name, data in clips.items()}
    with ThreadPoolExecutor(16) as pool:
        names = sorted(clips) * 6
        together = list(pool.map(lambda name: caption(service, clips[name])["caption"], names))
    assert together == [alone[name] for name in names]


def test_both_directions_and_a_timeline(service: httpx.Client, clips: dict[str, bytes]) -> None:
    """The woman speaks from 2 s on."""
    answer = difference(service, clips["woman-in-rain"], clips["rain"], both="true")
    assert names(str(answer["caption"]), "Speech")
    assert not mentions(str(answer["reverse"]["caption"]))
    kept = {segment["start_s"]: segment["kept"] for segment in answer["timeline"]}
    assert len(kept) == len(answer["reverse"]["timeline"]) == 16
    before = [share for start, share in kept.items() if start < 1.9]
    assert max(before) < 0.2 < min(kept[start] for start in (2.24, 2.56, 2.88, 3.2))
