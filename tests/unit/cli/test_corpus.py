"""``audiodiff corpus``: which files it means, and runs of it on a real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from cli import corpus
from cli import main as audiodiff
from engine.corpus import storage
from engine.corpus.folder import LISTING
from model.captioner import CaptionerModel
from model.errors import AudiodiffError, OptionsError
from tests.support.audio import by_soundfile
from tests.support.client import eventually

ROOT = Path(__file__).resolve().parents[3]
START_S = 600
"""A start of Ray and of its workers, on starved cores."""


def pairs(table: pa.Table) -> list[tuple[str, str | None]]:
    assert table.schema.equals(LISTING)
    return [(row["path"], row["reference"]) for row in table.to_pylist()]


# -- which files ------------------------------------------------------------------------------


def test_each_file_is_meant_once_wherever_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b/2.wav", "b/1.flac", "b/notes.txt", "a.wav", "c.opus"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    table, remark = corpus.listing(["c.opus", "b", "*.wav", str(tmp_path / "b" / "2.wav"), "x.wav"])
    expected = ["a.wav", "b/1.flac", "b/2.wav", "c.opus", "x.wav"]
    assert pairs(table) == [(str(tmp_path / name), None) for name in expected]
    assert remark is not None
    assert "b/notes.txt" in remark


def test_urls() -> None:
    system = storage.locate("memory://corpus")[0]
    for name in ("a/1.wav", "a/b/2 3.ogg", "a/notes.txt", "a/.hidden"):
        system.pipe_file(f"/corpus/{name}", b"x")
    for argument, expected in {
        "memory:///corpus/a": ["memory:///corpus/a/1.wav", "memory:///corpus/a/b/2 3.ogg"],
        "memory:///corpus/a/": ["memory:///corpus/a/1.wav", "memory:///corpus/a/b/2 3.ogg"],
        "memory:///corpus/**/*.ogg": ["memory:///corpus/a/b/2 3.ogg"],
        "memory:///corpus/a/notes.txt": ["memory:///corpus/a/notes.txt"],
        "memory:///corpus/absent": ["memory:///corpus/absent"],
        "https://example.org/a?id=1": ["https://example.org/a?id=1"],
    }.items():
        table, remark = corpus.listing([argument])
        assert pairs(table) == [(path, None) for path in expected]
        assert (remark is None) == ("a/notes.txt" not in str(remark))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_manifests(kind: str, tmp_path: Path) -> None:
    rows = {
        "id": [1, 2, 3, 4],
        "path": ["b.wav", "/c.wav", "s3://x/007", "b.wav"],
        "reference": [None, "r/e.wav", "s3://x/0", None],
    }
    manifest = tmp_path / f"list.{kind}"
    frame = pd.DataFrame(rows)
    frame.to_csv(manifest, index=False) if kind == "csv" else frame.to_parquet(manifest)
    table, _ = corpus.listing([str(manifest), "/c.wav"])
    assert pairs(table) == [
        ("/c.wav", f"{tmp_path}/r/e.wav"),
        ("/c.wav", None),
        (f"{tmp_path}/b.wav", None),
        ("s3://x/007", "s3://x/0"),
    ]


def test_a_manifest_of_numbers_is_one_of_names(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path\n0012\n12\n")
    table, _ = corpus.listing([str(tmp_path / "list.csv")])
    assert pairs(table) == [(f"{tmp_path}/0012", None), (f"{tmp_path}/12", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file\na.wav\n", "no column 'path'"),
        ("path,reference\n,b.wav\n", "a row without a path"),
        ("path\na.wav\nb.wav,c\n", "cannot be read as a manifest"),
        ("path\n", "there is no file to caption"),
    ],
)
def test_manifests_that_are_none(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(AudiodiffError, match=message):
        corpus.listing([str(tmp_path / "list.csv")])


def test_what_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="standard input"):
        corpus.listing(["-"])
    with pytest.raises(FileNotFoundError):
        corpus.listing([str(tmp_path / "absent.csv")])


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _works(process: psutil.Process) -> bool:
    try:
        return "MapWorker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


# -- runs -------------------------------------------------------------------------------------


@pytest.mark.timeout(2 * START_S)
def test_killed_and_gone_on_with(
    model: CaptionerModel, save_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """One of two workers is held up by a pipe that nobody writes to, until all others are done."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(1, 10):
        rng = np.random.default_rng(number)
        sound = by_soundfile(0.1 * rng.standard_normal(8000 + 400 * number), 8000)
        (clips / f"{number}.wav").write_bytes(sound)
    (clips / "5.wav").write_bytes(b"not a sound")
    held_up = clips / "0.wav"
    os.mkfifo(held_up)
    manifest = clips / "list.csv"
    rows = [f"{number}.wav," for number in range(9)]
    manifest.write_text("\n".join(["path,reference", *rows, "9.wav,1.wav"]))
    output = tmp_path / "out"
    command = [
        sys.executable, "-m", "cli", "corpus", str(manifest), "--output", str(output),
        "--workers", "2", "--files-per-part", "2", "--model", str(save_checkpoint(model)),
        "--runtime", "torch", "--device", "cpu",
    ]  # fmt: skip

    def parts() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}

    env = {**os.environ, "RAY_worker_niceness": "0"}  # else other tests would leave it no time
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as child:
        try:
            eventually(lambda: len(parts()) == 4 or child.poll() is not None, START_S)
            others = psutil.Process(child.pid).children(recursive=True)
            workers = [one for one in others if _works(one)]
        finally:
            child.kill()
        assert child.stderr
        assert len(parts()) == 4, child.stderr.read()
    assert len(workers) == 2
    eventually(lambda: not any(map(_lives, workers)), START_S)
    before = parts()
    held_up.unlink()
    (clips / "0.wav").write_bytes((clips / "9.wav").read_bytes())

    run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert run.stdout == f"{output}: 10 files, 1 with an error\n", run.stderr
    assert run.returncode == 1
    assert parts().items() > before.items()
    by_arrow = pyarrow.dataset.dataset(output).to_table().sort_by("path").to_pylist()
    assert [row["path"] for row in by_arrow] == [f"{clips}/{number}.wav" for number in range(10)]
    assert all((row["caption"] is None) == (row["error"] is not None) for row in by_arrow)
    [wrong] = [row for row in by_arrow if row["error"]]
    assert wrong["path"] == f"{clips}/5.wav"
    assert by_arrow[9]["reference"] == f"{clips}/1.wav"
    by_pandas = pd.read_parquet(output)
    assert by_pandas["caption"].notna().sum() == by_pandas["duration_s"].notna().sum() == 9
    about = pq.read_metadata(output / "part-000000.parquet").metadata[b"audiodiff"]
    assert b'"device": "cpu"' in about
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == []
    # Ray's agents look a minute for what was killed before they end, too.
    eventually(lambda: not any(map(_lives, others)), START_S)


def test_what_is_wrong_is_said_before_ray_is_started(
    model: CaptionerModel,
    save_checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("AUDIODIFF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(corpus, "connected", None)
    checkpoint = str(save_checkpoint(model))
    start = ["corpus", "a.wav", "--output", str(tmp_path / "out"), "--model"]

    def fails(*arguments: str) -> str:
        with suppress(SystemExit):
            audiodiff.main([*start, *arguments])
        return capsys.readouterr().err

    assert "is not a checkpoint" in fails(str(tmp_path))
    assert "num_beams must be 1 to 8" in fails(checkpoint, "--num-beams", "9")
    assert "Ray says which GPU" in fails(checkpoint, "--device", "cuda:1")
    assert "must be at least 1, not 0" in fails(checkpoint, "--workers", "0")
    assert not (tmp_path / "out").exists()
