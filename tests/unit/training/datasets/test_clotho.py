"""Clotho's CSV files: what is read, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from training.datasets.clotho.read import SPLITS, ClothoClip, read_captions
from training.datasets.errors import DataError

COLUMNS = ["file_name", *(f"caption_{i}" for i in range(1, 6))]
CAPTIONS = [
    "A dog barks.",
    "A dog, then a cat.",
    "Music plays.",
    "A phone rings.",
    "Two dogs bark.",
]

Write = Callable[[list[list[str]]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the rows as the development split's CSV file; the root."""

    def write_rows(rows: list[list[str]]) -> Path:
        path = tmp_path / "clotho_captions_development.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return tmp_path

    return write_rows


def test_clips_come_in_the_order_of_the_file(write: Write) -> None:
    root = write([COLUMNS, ["b,  2.wav", *CAPTIONS], ["a.wav", *(f" {c} " for c in CAPTIONS)]])
    assert read_captions(root, "development") == [
        ClothoClip("b,  2.wav", tuple(CAPTIONS), None),
        ClothoClip("a.wav", tuple(CAPTIONS), None),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    root = write([COLUMNS, ["a.wav", *CAPTIONS]])
    path = root / "clotho_captions_development.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [clip.file_name for clip in read_captions(root, "development")] == ["a.wav"]


def test_columns_may_come_in_any_order(write: Write) -> None:
    root = write([["source", *COLUMNS[::-1]], ["x", *CAPTIONS[::-1], "a.wav"]])
    assert read_captions(root, "development") == [ClothoClip("a.wav", tuple(CAPTIONS), None)]


def test_audio_is_found_where_present_even_if_its_name_has_outer_spaces(write: Write) -> None:
    root = write([COLUMNS, *([name, *CAPTIONS] for name in ("a.wav", "b.wav", "c.wav"))])
    folder = root / "development"
    folder.mkdir()
    (folder / "a.wav").touch()
    (folder / " b.wav").touch()
    clips = read_captions(root, "development")
    assert [clip.audio for clip in clips] == [folder / "a.wav", folder / " b.wav", None]


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown split 'test': Clotho has development, valid"):
        read_captions(tmp_path, "test")


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="clotho_captions_validation"):
        read_captions(tmp_path, "validation")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no rows"),
        ([COLUMNS], "holds no rows"),
        ([COLUMNS[:-1], ["a.wav", *CAPTIONS[:-1]]], "column caption_5 is missing"),
        ([COLUMNS, ["a.wav", *CAPTIONS[:-1]]], "line 2: caption_5 is missing"),
        ([COLUMNS, ["a.wav", *CAPTIONS[:-1], " "]], "line 2: caption_5 is missing"),
        ([COLUMNS, ["a.wav", *CAPTIONS], ["", *CAPTIONS]], "line 3: file_name is missing"),
        ([COLUMNS, ["a.wav", *CAPTIONS, "one more"]], "line 2: more fields than columns"),
        ([COLUMNS, ["a.wav", *CAPTIONS], ["a.wav", *CAPTIONS]], "line 3: 'a.wav' occurs twice"),
    ],
)
def test_a_broken_file_is_refused(write: Write, rows: list[list[str]], message: str) -> None:
    root = write(rows)
    with pytest.raises(DataError, match=message):
        read_captions(root, "development")


@pytest.mark.parametrize(
    ("split", "clips"), [("development", 3839), ("validation", 1045), ("evaluation", 1045)]
)
def test_the_real_splits_have_their_size(clotho_dir: Path, split: str, clips: int) -> None:
    read = read_captions(clotho_dir, split)
    assert len(read) == clips
    assert all(len(clip.captions) == 5 for clip in read)


def test_the_real_splits_share_no_file_but_the_four_known_names(clotho_dir: Path) -> None:
    splits = [{clip.file_name for clip in read_captions(clotho_dir, split)} for split in SPLITS]
    shared = {name for a, b in combinations(splits, 2) for name in a & b}
    assert shared == {
        "01 A pug struggles to breathe 1_14_2008.wav",
        "Bus(Drive_Reverse)_1-2.wav",
        "City Ambience w_ Car Passing_1-2.wav",
        "FREEZER_DOOR_OPEN_CLOSE.wav",
    }
