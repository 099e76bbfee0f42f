"""The bundled checkpoint behind the real command: a server process, HTTP, and recordings."""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import soundfile

from cli.demo import write
from tests.support.audio import by_soundfile
from tests.support.client import WAIT_S, eventually
from tests.support.process import listening
from training.captions.grammar import is_no_difference
from training.captions.lexicon import kinds_named


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


def named(caption: str) -> set[str]:
    """The kinds of sound that a caption names."""
    return {mention.kind for mention in kinds_named(caption)}


def caption(service: httpx.Client, data: bytes) -> dict[str, object]:
    """POST /caption."""
    answer: dict[str, object] = (
        service.post("/caption", files={"file": ("clip", data)}).raise_for_status().json()
    )
    return answer


def difference(
    service: httpx.Client, one: bytes, other: bytes, **options: str
) -> dict[str, object]:
    """POST /difference."""
    files = {"input": ("input", one), "reference": ("reference", other)}
    response = service.post("/difference", files=files, data=options)
    answer: dict[str, object] = response.raise_for_status().json()
    return answer


def test_the_clips_of_the_readme(service: httpx.Client, clips: dict[str, bytes]) -> None:
    assert named(str(caption(service, clips["siren"])["caption"])) == {"siren"}
    both = difference(service, clips["siren-and-knocks"], clips["knocks"])
    assert named(str(both["caption"])) == {"siren"}
    inverse = difference(service, clips["siren-and-knocks"], clips["siren"])
    assert named(str(inverse["caption"])) == {"door_wood_knock"}
    assert is_no_difference(str(difference(service, clips["siren"], clips["siren"])["caption"]))


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
        return row["category"] in named(str(caption(service, data)["caption"]))

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(right, chosen.values())) >= 9


def test_an_answer_in_a_batch_equals_the_answer_alone(
    service: httpx.Client, clips: dict[str, bytes]
) -> None:
    knocks, rate = soundfile.read(io.BytesIO(clips["knocks"]))
    clips = clips | {"short": by_soundfile(knocks[:12_345], rate)}
    alone = {name: caption(service, data)["caption"] for name, data in clips.items()}
    with ThreadPoolExecutor(16) as pool:
        names = sorted(clips) * 6
        together = list(pool.map(lambda name: caption(service, clips[name])["caption"], names))
    assert together == [alone[name] for name in names]


def test_both_directions_and_a_timeline(service: httpx.Client, clips: dict[str, bytes]) -> None:
    answer = difference(service, clips["siren"], clips["bouncing-ball"], both="true")
    reverse = answer["reverse"]
    assert isinstance(reverse, dict)
    assert named(str(answer["caption"])) == {"siren"}
    assert named(str(reverse["caption"])) == {"bouncing_ball"}
    for timeline in (answer["timeline"], reverse["timeline"]):
        assert isinstance(timeline, list)
        assert len(timeline) == 15
        assert all(0 <= segment["kept"] <= 1 for segment in timeline)
