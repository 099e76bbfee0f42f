"""Folders, patterns and names to files; what is too large, or can be read but once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import files
from model.audio.containers import CONTAINERS
from model.errors import AudioTooLarge, UnsupportedFormat


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of audio files among others, which is the current one."""
    for name in (
        "b.wav", "a.MP3", "notes.txt", "noise", ".hidden.wav", "._a.wav", "sub/c.flac",
        "sub/deep/d.opus", "another/e.webm", ".git/f.wav", "what?.wav", "none/notes.txt",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("argument", "found"),
    [
        (".", ["a.MP3", "b.wav", "what?.wav", "another/e.webm", "sub/c.flac", "sub/deep/d.opus"]),
        ("sub", ["sub/c.flac", "sub/deep/d.opus"]),
        ("sub/", ["sub/c.flac", "sub/deep/d.opus"]),
        ("noise", ["noise"]),
        ("none", ["none"]),
        ("absent.wav", ["absent.wav"]),
        ("*.wav", ["b.wav", "what?.wav"]),
        ("**/*.[fo]*", ["sub/c.flac", "sub/deep/d.opus"]),
        ("s*", ["sub/c.flac", "sub/deep/d.opus"]),
        ("what?.wav", ["what?.wav"]),
        ("x*.wav", ["x*.wav"]),
        ("-", ["-"]),
    ],
)
def test_what_an_argument_means(argument: str, found: list[str]) -> None:
    assert files.find([argument]).files == found


@pytest.mark.usefixtures("tree")
def test_each_kind_that_is_heard_is_found(tmp_path: Path) -> None:
    named = [f"{container.name}" for container in CONTAINERS]
    for ending in (*named, "amr", "mpga", "m4v"):
        (tmp_path / "kinds" / f"a.{ending}").parent.mkdir(exist_ok=True)
        (tmp_path / "kinds" / f"a.{ending}").touch()
    assert files.find(["kinds"]).passed_over == []


@pytest.mark.usefixtures("tree")
def test_files_that_are_passed_over_are_named() -> None:
    found = files.find([".", "noise"])
    assert found.passed_over == ["noise", "notes.txt", "none/notes.txt"]
    assert found.remark
    assert "names are not those of audio files: noise, notes.txt, none/notes.txt;" in found.remark
    assert files.find(["sub", "noise", "-"]).remark is None
    many = files.Found([], [f"{number}.txt" for number in range(25)])
    assert many.remark
    assert "18.txt, 19.txt and 5 more; name" in many.remark


def test_arguments_keep_their_order_and_absolute_patterns_work(tree: Path) -> None:
    assert files.find(["noise", f"{tree}/*.wav", "-", "sub/deep", "noise"]).files == [
        "noise", f"{tree}/b.wav", f"{tree}/what?.wav", "-", "sub/deep/d.opus", "noise",
    ]  # fmt: skip


def test_a_folder_that_may_not_be_searched_is_not_passed_over(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert files.find(["sub"]).files == ["sub/c.flac", "sub/deep"]
    with pytest.raises(PermissionError):
        files.open_clip("sub/deep", {})
    assert tree.is_dir()


@pytest.mark.usefixtures("tree")
def test_a_folder_without_audio_is_no_clip() -> None:
    with pytest.raises(UnsupportedFormat):
        files.open_clip("none", {})


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("held", [{}, {"b.wav": b"12345"}])
def test_the_bound_on_a_file(held: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("b.wav").write_bytes(b"12345")
    monkeypatch.setattr(files, "MAX_BYTES", 5)
    with files.open_clip("b.wav", held) as clip:
        assert clip.read() == b"12345"
    monkeypatch.setattr(files, "MAX_BYTES", 4)
    with pytest.raises(AudioTooLarge):
        files.open_clip("b.wav", held)


def test_what_never_ends_is_read_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    data = files.read("/dev/zero")
    with pytest.raises(AudioTooLarge):
        files.open_clip("/dev/zero", {"/dev/zero": data})


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("path", "once"),
    [("-", True), ("/dev/zero", True), ("b.wav", False), ("sub", False), ("absent", False)],
)
def test_what_can_be_read_but_once(path: str, once: bool) -> None:
    assert files.passing(path) is once
