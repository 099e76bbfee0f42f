"""Small stand-ins for Clotho and ESC-50 in their exact layout, whole and broken in many ways."""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import py7zr
import pytest
import soundfile

from tests.support.file_server import FileServer, serving
from training.__main__ import main
from training.datasets.clotho import read as clotho
from training.datasets.clotho.prepare import CLOTHO_CLIPS
from training.datasets.clotho.prepare import prepare as prepare_clotho
from training.datasets.errors import DataError
from training.datasets.esc50 import read as esc50
from training.datasets.esc50.prepare import ESC50_SIZE, Esc50Size
from training.datasets.esc50.prepare import prepare as prepare_esc50

CLIPS = {"development": 3, "validation": 2, "evaluation": 2}
SIZE = Esc50Size(clips=10, classes=2, folds=5)
RECORD = "/api/records/4783391"
ZIP = "/karolpiczak/ESC-50/archive/master.zip"
ARCHIVES = [f"clotho_audio_{split}.7z" for split in CLIPS]
CSVS = [f"clotho_{what}_{split}.csv" for split in CLIPS for what in ("captions", "metadata")]

Tree = Mapping[str, bytes]
"""Path -> content."""


def wav(seconds: float, rate: int = 44_100) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(seconds * rate)), rate, "PCM_16", format="WAV")
    return file.getvalue()


def table(*rows: list[str]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def seven_zip(tree: Tree) -> bytes:
    file = io.BytesIO()
    with py7zr.SevenZipFile(file, "w") as archive:
        for path, content in tree.items():
            archive.writestr(content, path)
    return file.getvalue()


def zipped(tree: Tree) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in tree.items():
            archive.writestr(path, content)
    return file.getvalue()


def lay(tree: Tree, folder: Path) -> Path:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def there(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, as ``Tree``; an empty folder as a path that ends in a slash."""
    return {
        str(path.relative_to(folder)) + "/" * path.is_dir(): b""
        if path.is_dir()
        else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def publish(server: FileServer, tree: Tree) -> None:
    """Serve the files as Zenodo serves those of Clotho's record."""
    files = [
        {
            "id": f"id of {name}",
            "key": name,
            "size": len(content),
            "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
            "links": {"self": f"{server.url}{RECORD}/files/{name}/content"},
        }
        for name, content in tree.items()
    ]
    server.files[RECORD] = json.dumps({"id": 4783391, "files": files}).encode()
    server.files.update({f"{RECORD}/files/{name}/content": tree[name] for name in tree})


def asked_for(server: FileServer) -> list[str]:
    """The files that were downloaded."""
    return [path.removesuffix("/content").rpartition("/")[2] for path in server.paths]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def unpacked() -> Tree:
    """What Clotho is once it is prepared."""
    tree: dict[str, bytes] = {}
    header = ["file_name", *(f"caption_{i}" for i in range(1, 6))]
    for split, count in CLIPS.items():
        names = [f"{split} {i}.wav" for i in range(count)]
        tree[f"clotho_captions_{split}.csv"] = table(
            header, *([name, *(f"Sound {i}." for i in range(5))] for name in names)
        )
        tree[f"clotho_metadata_{split}.csv"] = table(["file_name"], *([name] for name in names))
        tree |= {f"{split}/{name}": wav(0.01 * i + 0.01) for i, name in enumerate(names)}
    # As in the real one, a name may have a space that the CSV file lacks.
    tree["development/ development 1.wav"] = tree.pop("development/development 1.wav")
    return tree


@pytest.fixture(scope="module")
def packed(unpacked: Tree) -> Tree:
    """What Zenodo's record of Clotho holds."""
    return {name: unpacked[name] for name in CSVS} | {
        f"clotho_audio_{split}.7z": seven_zip(
            {path: unpacked[path] for path in unpacked if path.startswith(f"{split}/")}
        )
        for split in CLIPS
    }


@pytest.fixture(scope="module")
def sounds() -> Tree:
    """What ESC-50 is once it is prepared."""
    header = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    rows = [
        [f"{fold}-{fold}00-A-{target}.wav", f"{fold}", f"{target}", kind, "True", f"{fold}00", "A"]
        for fold in range(1, 6)
        for target, kind in enumerate(("dog", "rooster"))
    ]
    return {
        "meta/esc50.csv": table(header, *rows),
        "LICENSE": b"CC",
        "README.md": b"ESC-50",
    } | {f"audio/{row[0]}": wav(5) for row in rows}


@pytest.fixture(scope="module")
def github(sounds: Tree) -> bytes:
    """GitHub's archive of ESC-50, with a file that nobody needs."""
    return zipped({f"ESC-50-master/{path}": sounds[path] for path in sounds} | {"x/esc50.gif": b""})


# The true data sets --------------------------------------------------------------------------


def test_the_true_counts() -> None:
    assert CLOTHO_CLIPS == {"development": 3839, "validation": 1045, "evaluation": 1045}
    assert tuple(CLOTHO_CLIPS) == clotho.SPLITS
    assert Esc50Size(2000, 50, 5) == ESC50_SIZE
    assert inspect.signature(prepare_clotho).parameters["clips"].default == CLOTHO_CLIPS
    assert inspect.signature(prepare_esc50).parameters["size"].default == ESC50_SIZE


def test_the_real_captions_lack_nothing_but_the_audio(clotho_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks development or clotho_audio_dev.*, evaluation or "):
        prepare_clotho(tmp_path, clotho_dir)
    for split in CLOTHO_CLIPS:
        (tmp_path / split).mkdir()
    with pytest.raises(DataError) as caught:
        prepare_clotho(tmp_path, clotho_dir)
    for line, (split, count) in zip(
        str(caught.value).split("\n"), CLOTHO_CLIPS.items(), strict=True
    ):
        assert f"{split}: {count} of {count} recordings are missing" in line


def test_the_real_recordings_that_are_no_originals_are_refused(esc50_dir: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare_esc50(esc50_dir)
    message = str(caught.value)
    assert "of 2000 recordings are not 5 s of mono audio at 44100 Hz: 1-1000" in message
    assert "missing" not in message
    assert "lists" not in message


# Clotho ----------------------------------------------------------------------------------------


def test_clotho_is_downloaded(
    server: FileServer, packed: Tree, unpacked: Tree, tmp_path: Path
) -> None:
    publish(server, packed)
    told = prepare_clotho(tmp_path / "clotho", base_url=server.url, clips=CLIPS)
    assert "3 development, 2 validation, 2 evaluation recordings" in told
    assert there(tmp_path / "clotho") == unpacked
    clips = clotho.read_captions(tmp_path / "clotho", "development")
    assert all(clip.audio and clip.audio.is_file() for clip in clips)
    assert sorted(asked_for(server)) == sorted(["4783391", *packed])


def test_a_second_run_downloads_nothing(server: FileServer, packed: Tree, tmp_path: Path) -> None:
    publish(server, packed)
    told = prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    server.asked.clear()
    assert prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS) == told
    assert server.asked == []


def test_a_second_run_downloads_what_the_first_one_did_not(
    server: FileServer, packed: Tree, unpacked: Tree, tmp_path: Path
) -> None:
    publish(server, packed)
    archive = f"{RECORD}/files/clotho_audio_validation.7z/content"
    kept = server.files.pop(archive)
    with pytest.raises(DataError, match=r"clotho_audio_validation\.7z.* answers 404"):
        prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    server.files[archive] = kept
    server.asked.clear()
    half = len(kept) // 2
    (tmp_path / ".downloads" / "clotho_audio_validation.7z.part").write_bytes(kept[:half])
    prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    assert there(tmp_path) == unpacked
    assert server.asked[0] == (archive, f"bytes={half}-")
    assert not {"4783391", "clotho_audio_development.7z"} & set(asked_for(server))


def test_captions_alone_are_completed(
    server: FileServer, packed: Tree, unpacked: Tree, tmp_path: Path
) -> None:
    publish(server, packed)
    lay({name: packed[name] for name in CSVS}, tmp_path)
    prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    assert there(tmp_path) == unpacked
    assert asked_for(server)[0] == "4783391"
    assert not [name for name in asked_for(server) if "captions" in name]


def test_a_wrong_checksum_is_refused(server: FileServer, packed: Tree, tmp_path: Path) -> None:
    publish(server, packed)
    content = packed["clotho_audio_development.7z"]
    server.files[f"{RECORD}/files/clotho_audio_development.7z/content"] = content[::-1]
    md5s = [hashlib.md5(some).hexdigest() for some in (content[::-1], content)]
    with pytest.raises(DataError, match="md5 is {}, .* says {}; it was deleted".format(*md5s)):
        prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    assert not any(name.startswith("development") for name in there(tmp_path))
    assert not list(tmp_path.rglob("*development.7z*"))


@pytest.mark.parametrize(
    "listing", [b"<html>", b"[]", b"{}", b'{"files": [{"key": "a"}]}', b'{"files": [1]}']
)
def test_a_record_that_cannot_be_read_is_not_kept(
    server: FileServer, tmp_path: Path, listing: bytes
) -> None:
    server.files[RECORD] = listing
    with pytest.raises(DataError, match=f"{RECORD} does not list the record's files"):
        prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    assert list((tmp_path / ".downloads").iterdir()) == []


def test_a_record_without_a_file_is_refused(
    server: FileServer, packed: Tree, tmp_path: Path
) -> None:
    publish(server, {name: packed[name] for name in packed if name not in (CSVS[0], ARCHIVES[2])})
    with pytest.raises(DataError) as caught:
        prepare_clotho(tmp_path, base_url=server.url, clips=CLIPS)
    assert str(caught.value) == (
        f"record 4783391 of {server.url} lacks clotho_captions_development.csv, "
        "evaluation or clotho_audio_evaluation.7z"
    )


def test_clotho_is_taken_from_local_archives(packed: Tree, unpacked: Tree, tmp_path: Path) -> None:
    source = lay(packed, tmp_path / "source")
    prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    assert there(tmp_path / "clotho") == unpacked
    assert there(source) == packed


def test_clotho_is_taken_from_a_local_folder(unpacked: Tree, tmp_path: Path) -> None:
    source = lay(unpacked, tmp_path / "source")
    prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    assert there(tmp_path / "clotho") == unpacked
    assert there(source) == unpacked


def test_clotho_is_unpacked_beside_its_archives(
    packed: Tree, unpacked: Tree, tmp_path: Path
) -> None:
    root = lay(packed, tmp_path)
    prepare_clotho(root, root, clips=CLIPS)
    assert there(root) == {**packed, **unpacked}


def test_metadata_is_not_needed(unpacked: Tree, tmp_path: Path) -> None:
    needed = {path: unpacked[path] for path in unpacked if "metadata" not in path}
    source = lay(needed, tmp_path / "source")
    prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    assert there(tmp_path / "clotho") == needed


def test_everything_that_a_local_folder_lacks_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare_clotho(tmp_path / "clotho", tmp_path / "nothing", clips=CLIPS)
    assert str(caught.value) == (
        f"the folder {tmp_path}/nothing lacks clotho_captions_development.csv, "
        "clotho_captions_validation.csv, clotho_captions_evaluation.csv, "
        "development or clotho_audio_development.7z, validation or clotho_audio_validation.7z, "
        "evaluation or clotho_audio_evaluation.7z"
    )
    assert not (tmp_path / "clotho").exists()


def test_every_split_says_what_is_wrong_with_it(unpacked: Tree, tmp_path: Path) -> None:
    captions = unpacked["clotho_captions_development.csv"].decode()
    tree = dict(unpacked)
    tree["clotho_captions_development.csv"] = captions.replace("caption_5", "comment").encode()
    tree["validation/validation 1.wav"] = b"RIFF"
    del tree["evaluation/evaluation 0.wav"]
    source = lay(tree, tmp_path / "source")
    with pytest.raises(DataError) as caught:
        prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    development, validation, evaluation = str(caught.value).split("\n")
    assert "clotho_captions_development.csv: column caption_5 is missing; " in development
    assert (
        "1 of 2 recordings are not audio: validation 1.wav (cannot be read); complete it or get"
    ) in validation
    assert "1 of 2 recordings are missing: evaluation 0.wav; complete it or get" in evaluation
    assert not [name for name in there(tmp_path / "clotho") if name.endswith(("wav", "/"))]


def test_a_split_that_lost_a_recording_is_kept_and_reported(unpacked: Tree, tmp_path: Path) -> None:
    root = lay(unpacked, tmp_path)
    (root / "validation" / "validation 0.wav").unlink()
    with pytest.raises(DataError) as caught:
        prepare_clotho(root, root, clips=CLIPS)
    assert str(caught.value) == (
        f"{root}/validation: 1 of 2 recordings are missing: validation 0.wav; "
        "complete it, or delete it and run the command again"
    )
    assert (root / "validation" / "validation 1.wav").is_file()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Sound 4.\r\n", "\r\n", "line 2: caption_5 is missing"),
        (
            "validation 1.wav,Sound 0.,Sound 1.,Sound 2.,Sound 3.,Sound 4.\r\n",
            "",
            "1 recordings, n",
        ),
        ("Sound 4.", "Sound \N{DEGREE SIGN}", "is not UTF-8"),
    ],
)
def test_broken_captions_are_refused(
    unpacked: Tree, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    name = "clotho_captions_validation.csv"
    text = unpacked[name].decode()
    assert old in text
    source = lay({**unpacked, name: text.replace(old, new, 1).encode("latin-1")}, tmp_path / "s")
    with pytest.raises(DataError, match=f"{name}.*{problem}"):
        prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    assert not (tmp_path / "clotho" / name).exists()


def half(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def flipped(archive: bytes) -> bytes:
    """One byte of the first recording's is another."""
    return archive[:60] + bytes([archive[60] ^ 255]) + archive[61:]


@pytest.mark.parametrize("spoil", [half, flipped, lambda _: b"", lambda _: b"<html>"])
def test_a_broken_7z_is_refused(
    server: FileServer, packed: Tree, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    name = "clotho_audio_development.7z"
    tree = {**packed, name: spoil(packed[name])}
    publish(server, tree)
    with pytest.raises(DataError, match=rf"{name}: the archive is broken .*; it was deleted, run"):
        prepare_clotho(tmp_path / "a", base_url=server.url, clips=CLIPS)
    assert [path.name for path in (tmp_path / "a" / ".downloads").glob("*.7z")] == []
    source = lay(tree, tmp_path / "source")
    with pytest.raises(DataError, match=rf"{name}: the archive is broken .*; complete it or get"):
        prepare_clotho(tmp_path / "b", source, clips=CLIPS)
    assert (source / name).exists()
    for root in (tmp_path / "a", tmp_path / "b"):
        assert sorted(path.name for path in root.iterdir() if path.name != ".downloads") == sorted(
            [*CSVS, "evaluation", "validation"]
        )


@pytest.mark.parametrize("name", ["../evil.wav", "development/../../evil.wav", "/evil.wav"])
def test_a_7z_that_leads_out_of_its_folder_is_refused(
    packed: Tree, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("py7zr.py7zr.check_archive_path", lambda _: True)
    tree = {**packed, "clotho_audio_validation.7z": seven_zip({name: b"evil"})}
    source = lay(tree, tmp_path / "source")
    with pytest.raises(DataError, match=f"would write outside of its folder: {name}"):
        prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)
    assert list(tmp_path.rglob("evil*")) == []


def test_a_7z_with_a_link_is_refused(packed: Tree, tmp_path: Path) -> None:
    source = lay(packed, tmp_path / "source")
    (tmp_path / "link").symlink_to("/etc")
    with py7zr.SevenZipFile(source / "clotho_audio_validation.7z", "w") as archive:
        archive.write(tmp_path / "link", "validation/link")
    with pytest.raises(DataError, match="holds links, which no data set needs: validation/link"):
        prepare_clotho(tmp_path / "clotho", source, clips=CLIPS)


def test_what_a_killed_run_left_half_unpacked_is_thrown_away(
    packed: Tree, unpacked: Tree, tmp_path: Path
) -> None:
    source = lay(packed, tmp_path / "source")
    root = lay({".unpacking/development/half.wav": b""}, tmp_path / "clotho")
    prepare_clotho(root, source, clips=CLIPS)
    assert there(root) == unpacked


# ESC-50 ----------------------------------------------------------------------------------------


def test_esc50_is_downloaded(
    server: FileServer, github: bytes, sounds: Tree, tmp_path: Path
) -> None:
    server.redirects[ZIP] = "/zip"
    server.files["/zip"] = github
    told = prepare_esc50(tmp_path / "ESC-50", base_url=server.url, size=SIZE)
    assert told == f"ESC-50 is whole in {tmp_path}/ESC-50: 10 recordings of 2 classes in 5 folds"
    assert there(tmp_path / "ESC-50") == sounds
    assert len(esc50.load(tmp_path / "ESC-50", (1, 2), 16_000)) == 4
    server.asked.clear()
    assert prepare_esc50(tmp_path / "ESC-50", base_url=server.url, size=SIZE) == told
    assert server.asked == []


def test_a_broken_zip_is_deleted_and_fetched_again(
    server: FileServer, github: bytes, sounds: Tree, tmp_path: Path
) -> None:
    server.files[ZIP] = half(github)
    with pytest.raises(DataError, match=r"master\.zip: the archive is broken .*; it was deleted"):
        prepare_esc50(tmp_path, base_url=server.url, size=SIZE)
    assert there(tmp_path) == {".downloads/": b""}
    server.files[ZIP] = github
    prepare_esc50(tmp_path, base_url=server.url, size=SIZE)
    assert there(tmp_path) == sounds


def test_esc50_is_taken_from_a_local_archive(github: bytes, sounds: Tree, tmp_path: Path) -> None:
    archive = tmp_path / "ESC-50-master.zip"
    archive.write_bytes(github)
    prepare_esc50(tmp_path / "ESC-50", archive, size=SIZE)
    assert there(tmp_path / "ESC-50") == sounds
    assert archive.read_bytes() == github


def test_esc50_is_taken_from_a_local_folder(sounds: Tree, tmp_path: Path) -> None:
    source = lay({**sounds, ".git/config": b""}, tmp_path / "source")
    prepare_esc50(tmp_path / "ESC-50", source, size=SIZE)
    assert there(tmp_path / "ESC-50") == sounds


def test_what_is_there_of_esc50_is_kept(sounds: Tree, tmp_path: Path) -> None:
    source = lay(sounds, tmp_path / "source")
    root = lay({"README.md": b"mine", "notes.txt": b"mine"}, tmp_path / "ESC-50")
    prepare_esc50(root, source, size=SIZE)
    assert there(root) == {**sounds, "README.md": b"mine", "notes.txt": b"mine"}


def replaced(old: str, new: str) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        text = tree["meta/esc50.csv"].decode()
        assert old in text
        return {**tree, "meta/esc50.csv": text.replace(old, new).encode()}

    return change


def without(path: str) -> Callable[[Tree], Tree]:
    return lambda tree: {name: tree[name] for name in tree if name != path}


def having(path: str, content: bytes) -> Callable[[Tree], Tree]:
    return lambda tree: {**tree, path: content}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (without("meta/esc50.csv"), "meta/esc50.csv is missing"),
        (replaced(",fold,", ",part,"), r"meta/esc50\.csv: column fold is missing"),
        (replaced("2-200-A-1.wav,2,1", "2-200-A-1.wav,,1"), "line 5: fold is missing"),
        (replaced("2-200-A-1.wav", "1-100-A-1.wav"), "lists 9 recordings, not 10"),
        (replaced("rooster", "dog"), "lists 1 classes, not 2"),
        (replaced("00-A-1.wav,5,", "00-A-1.wav,6,"), "the fold is '6', not 1 to 5"),
        (
            without("audio/3-300-A-1.wav"),
            "1 of 10 recordings are missing: 3-300-A-1.wav",
        ),
        (
            having("audio/3-300-A-1.wav", wav(4.9)),
            r"1 of 10 recordings are not 5 s of mono audio at 44100 Hz: 3-300-A-1\.wav "
            r"\(1 x 216090 at 44100 Hz\)",
        ),
        (
            having("audio/3-300-A-1.wav", wav(5, 16_000)),
            r"are not 5 s .* 3-300-A-1\.wav \(1 x 80000 at 16000 Hz\)",
        ),
        (
            having("audio/3-300-A-1.wav", b"RIFF"),
            r"1 of 10 recordings are not 5 s .* 3-300-A-1\.wav \(cannot be read\)",
        ),
    ],
)
def test_an_esc50_that_is_not_whole_is_refused(
    sounds: Tree, tmp_path: Path, spoil: Callable[[Tree], Tree], problem: str
) -> None:
    source = lay(spoil(sounds), tmp_path / "source")
    with pytest.raises(DataError, match=f"source: .*{problem}.*; complete it or get it again"):
        prepare_esc50(tmp_path / "ESC-50", source, size=SIZE)
    assert there(tmp_path / "ESC-50") == {}
    with pytest.raises(DataError, match=f"source: .*{problem}.*; complete it"):
        prepare_esc50(source, source, size=SIZE)


def test_many_names_are_counted(sounds: Tree, tmp_path: Path) -> None:
    few = {path: sounds[path] for path in sounds if not path.startswith("audio/")}
    more = {"meta/esc50.csv": sounds["meta/esc50.csv"].replace(b"00-A", b"11-B")[76:]}
    both = few["meta/esc50.csv"] + more["meta/esc50.csv"].split(b"\r\n", 1)[1]
    source = lay({**few, "meta/esc50.csv": both, "audio/none.wav": b""}, tmp_path / "source")
    with pytest.raises(DataError, match=r"missing: 1-100-A-0\.wav, .*5-500-A-1\.wav and \d+ more"):
        prepare_esc50(source, size=SIZE)


@pytest.mark.parametrize("name", ["../evil.wav", "ESC-50-master/../../evil.wav", "/evil.wav"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "evil.zip"
    archive.write_bytes(zipped({name: b"evil"}))
    with pytest.raises(DataError, match=f"would write outside of its folder: {name}"):
        prepare_esc50(tmp_path / "ESC-50", archive, size=SIZE)
    assert list(tmp_path.rglob("evil.wav")) == []


# The command line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data_set", "message"),
    [
        ("clotho", "it is not prepared: the folder /no/such lacks clotho_captions_devel"),
        ("esc50", "it is not prepared: /no/such: No such file or directory"),
    ],
)
def test_an_error_is_a_message_and_a_status(
    data_set: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["prepare", data_set, "--output", str(tmp_path), "--from", "/no/such"]
    monkeypatch.setattr("sys.argv", ["training", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert str(caught.value.code).startswith(message)


def test_the_command_line_says_what_is_there(
    sounds: Tree,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = lay(sounds, tmp_path)
    monkeypatch.setattr(
        "training.datasets.esc50.prepare.prepare",
        lambda output, source: prepare_esc50(output, source, size=SIZE),
    )
    monkeypatch.setattr("sys.argv", ["training", "prepare", "esc50", "--output", str(root)])
    main()
    licence, told = capsys.readouterr().out.splitlines()
    assert "CC BY-NC 3.0" in licence
    assert told.startswith(f"ESC-50 is whole in {root}: 10 recordings")
