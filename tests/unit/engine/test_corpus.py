"""A corpus without Ray: the folder and its parts, and one worker's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch

from engine import decoders
from engine.corpus import folder, storage
from engine.corpus.folder import ANSWERS, LISTING, METADATA, Folder
from engine.corpus.worker import Describer, Order, Worker
from engine.errors import WorkerDied
from model.captioner import CaptionerModel
from model.checkpoint import revision
from model.errors import AudiodiffError, AudioTooLarge, CheckpointError
from model.types import GenerationOptions
from tests.support import s3
from tests.support.audio import by_soundfile
from tests.support.captioner import FATAL, OUT_OF_MEMORY, FakeCaptioner, HearingCaptioner, clip
from tests.support.file_server import serving

SETTINGS = {"revision": "0123", "num_beams": 2}


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "output": "", "model": Path(), "revision": "0", "device": "cpu", "dtype": "auto",
        "runtime": "torch", "compile_cache": None, "cores": 1, "options": GenerationOptions(),
        "events": False, "max_audio_seconds": 30.0, "settings": SETTINGS, "version": "1",
    }  # fmt: skip
    return Order(**{**fields, **changes})


def files(*paths: str) -> pa.Table:
    return pa.Table.from_pylist([{"path": path} for path in paths], LISTING)


def answer(path: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "reference": None, **fields}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The URL of a bucket, and the objects of its store."""
    with s3.serving() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield f"s3://bucket-{store.server_port}", store.objects


@pytest.fixture(params=["local", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder that is not there yet, on file systems of several kinds."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')[0]}/corpus/out"
    return f"{tmp_path}/out" if request.param == "local" else f"memory://{tmp_path}/out"


# -- the folder -------------------------------------------------------------------------------


def test_parts_are_those_that_were_written(url: str) -> None:
    one = Folder(url)
    one.begin(files("a", "b", "c", "d", "e"), 2, SETTINGS)
    assert (one.sizes, one.done) == ([2, 2, 1], set())
    assert [row["path"] for part in (0, 1, 2) for row in one.files(part)] == list("abcde")
    rows = [answer("c", caption="a dog", score=-0.5), answer("d", error="not audio")]
    one.write(1, one.attempt(1), rows, {"seconds": 1.5})
    again = Folder(url)
    again.begin(files("a", "b", "c", "d", "e"), 2, SETTINGS)
    assert (again.done, again.failed) == ({1}, 1)


def test_readers_find_the_answers_alone(tmp_path: Path) -> None:
    one = Folder(str(tmp_path))
    one.begin(files("a", "b"), 1, SETTINGS)
    sound = {"label": "Dog", "score": 0.5, "events": [{"start_s": 0.0, "end_s": 1.0}]}
    one.attempt(0)  # left behind by a worker that died
    for part, path in enumerate("ab"):
        rows = [answer(path, caption="a dog", sounds=[sound], warnings=["x"], duration_s=1.0)]
        one.write(part, one.attempt(part), rows, {"seconds": 1.5})
    read = pyarrow.dataset.dataset(tmp_path).to_table()
    assert read.schema.equals(ANSWERS)
    assert read["path"].to_pylist() == ["a", "b"]
    assert read["sounds"].to_pylist() == [[sound], [sound]]
    about = pq.read_metadata(tmp_path / "part-000001.parquet").metadata
    assert json.loads(about[METADATA]) == {"seconds": 1.5}
    assert json.loads((tmp_path / "_corpus.json").read_text()) == {"files_per_part": 1, **SETTINGS}


@pytest.mark.parametrize(
    ("paths", "size", "settings", "message"),
    [
        ("abd", 2, SETTINGS, r"new: 1, gone: 1\): give the same ones, or another --output"),
        ("ab", 2, SETTINGS, r"new: 0, gone: 1\)"),
        ("abc", 3, SETTINGS, "began with files_per_part 2, not 3: go on as it began"),
        ("abc", 2, {**SETTINGS, "revision": "4567"}, "began with revision 0123, not 4567"),
    ],
)
def test_what_changed_is_told(
    url: str, paths: str, size: int, settings: dict[str, Any], message: str
) -> None:
    Folder(url).begin(files(*"abc"), 2, SETTINGS)
    with pytest.raises(AudiodiffError, match=message):
        Folder(url).begin(files(*paths), size, settings)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(AudiodiffError, match="is not empty"):
        Folder(str(tmp_path)).begin(files("a"), 1, SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_part_that_ends_its_workers_is_given_up(url: str) -> None:
    one = Folder(url)
    one.begin(files("a", "b"), 1, SETTINGS)
    for _ in range(folder.ATTEMPTS):
        one.attempt(1)
    with pytest.raises(AudiodiffError, match="part 1 ended its worker 4 times"):
        one.attempt(1)
    one.attempt(0)
    Folder(url).begin(files("a", "b"), 1, SETTINGS)  # as when the command is run again
    one.attempt(1)


# -- files ------------------------------------------------------------------------------------


def test_files_are_read_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a?b #1.wav").write_bytes(b"local")
    storage.locate("memory://x")[0].pipe_file("/x/a b.wav", b"elsewhere")
    assert storage.read(str(tmp_path / "a?b #1.wav")) == b"local"
    assert storage.read("memory://x/a b.wav") == b"elsewhere"
    monkeypatch.setattr(storage, "MAX_BYTES", 4)
    with pytest.raises(AudioTooLarge, match="send its sound alone"):
        storage.read("memory://x/a b.wav")


def test_files_are_read_from_s3(bucket: tuple[str, dict[str, bytes]]) -> None:
    url, objects = bucket
    objects[f"{url.removeprefix('s3://')}/a b+c/1.wav"] = bytes(range(256)) * 9000
    assert storage.read(f"{url}/a b+c/1.wav") == bytes(range(256)) * 9000
    with pytest.raises(FileNotFoundError):
        storage.read(f"{url}/a b+c/2.wav")
    system, name = storage.locate(f"{url}/a b+c")
    assert system.find(name) == [f"{name}/1.wav"]


def test_files_are_read_over_http() -> None:
    with serving() as server:
        server.files["/a.wav"] = bytes(range(256)) * 9000
        server.says_length = False
        assert storage.read(f"{server.url}/a.wav") == server.files["/a.wav"]
        with pytest.raises(FileNotFoundError):
            storage.read(f"{server.url}/b.wav")


# -- one worker -------------------------------------------------------------------------------


@pytest.fixture
def describer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Describer]:
    """Its decoders do what some files say."""
    monkeypatch.setattr(decoders, "MODULE", "tests.support.bad_decoder")
    describer = Describer(HearingCaptioner(), order(events=True))
    yield describer
    describer.close()


def test_each_file_is_a_row_in_its_place(describer: Describer, tmp_path: Path) -> None:
    def file(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    def wav(seconds: float) -> str:
        rng = np.random.default_rng(0)
        sound = 0.1 * rng.standard_normal(round(seconds * 16_000))
        return file(f"{seconds}.wav", by_soundfile(sound, 16_000))

    given = [
        {"path": wav(1.5), "reference": None},
        {"path": file("crash.wav", b"crash"), "reference": None},
        {"path": wav(0.5), "reference": wav(0.25)},
        {"path": file("text.wav", b"a text"), "reference": None},
        {"path": str(tmp_path / "absent.wav"), "reference": None},
        {"path": wav(0.75), "reference": file("empty.wav", b"")},
        {"path": "nowhere://x", "reference": None},
        {"path": wav(2.5), "reference": None},
    ]
    rows = describer.describe(given)
    assert [{"path": row["path"], "reference": row["reference"]} for row in rows] == given
    table = pa.Table.from_pylist(rows, ANSWERS).to_pylist()
    assert [row["caption"] for row in table] == [
        "sound 1.5", None, "sound 0.5 without 0.25", None, None, None, None, "sound 2.5"
    ]  # fmt: skip
    assert [row["duration_s"] for row in table] == [1.5, None, 0.5, None, None, None, None, 2.5]
    wrong = [row["error"] for row in table]
    assert [error is None for error in wrong] == [row["caption"] is not None for row in table]
    assert "its decoder crashed" in wrong[1]
    assert wrong[4] == "No such file or directory"
    assert wrong[5].startswith("reference: ")
    assert "nowhere" in wrong[6]
    assert table[0]["sounds"][0] == {
        "label": "Dog", "score": 0.87, "events": [{"start_s": 0.0, "end_s": 0.5}]
    }  # fmt: skip


def test_a_clip_that_fails_alone_is_a_row_and_a_dead_device_is_not(tmp_path: Path) -> None:
    def file(number: int) -> dict[str, str | None]:
        (tmp_path / str(number)).write_bytes(clip(number))
        return {"path": str(tmp_path / str(number)), "reference": None}

    describer = Describer(FakeCaptioner(), order())
    try:
        rows = describer.describe([file(1), file(OUT_OF_MEMORY), file(2)])
        assert [row.get("caption") for row in rows] == ["sound 1", None, "sound 2"]
        assert "out of memory" in rows[1]["error"]
        with pytest.raises(WorkerDied):
            describer.describe([file(3), file(FATAL)])
    finally:
        describer.close()


def test_a_worker_writes_its_parts(
    model: CaptionerModel, save_checkpoint: Any, tmp_path: Path
) -> None:
    checkpoint = save_checkpoint(model)
    output = Folder(str(tmp_path / "out"))
    paths = []
    for number in range(3):
        rng = np.random.default_rng(number)
        paths.append(tmp_path / f"{number}.wav")
        paths[-1].write_bytes(by_soundfile(0.1 * rng.standard_normal(9000), 8000))
    output.begin(files(*map(str, paths)), 2, SETTINGS)
    told = order(output=output.url, model=checkpoint)
    with pytest.raises(CheckpointError, match="copy one of them to all"):
        Worker(told)
    threads = torch.get_num_threads()
    try:
        worker = Worker(order(output=output.url, model=checkpoint, revision=revision(checkpoint)))
        batch = {"part": np.array([1])}
        assert worker(batch) is batch
        worker.close()
    finally:
        torch.set_num_threads(threads)
    assert output.done == {1}
    part = tmp_path / "out" / "part-000001.parquet"
    [row] = pq.read_table(part).to_pylist()
    assert (row["path"], row["duration_s"], row["error"]) == (str(paths[2]), 1.125, None)
    assert row["caption"]
    about = json.loads(
        pq.read_metadata(tmp_path / "out" / "part-000001.parquet").metadata[METADATA]
    )
    assert about.pop("seconds") > 0
    assert about == {"version": "1", **SETTINGS, "device": "cpu", "dtype": "float32"}
