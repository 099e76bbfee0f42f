"""Tables: what is read, and that what is wrong is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.datasets.errors import DataError
from training.datasets.table import rows

GOOD = "name,text\na.wav,a dog\nb.wav,rain\n"


def read(path: Path, data: bytes, **more: tuple[str, ...]) -> list[dict[str, str]]:
    path.write_bytes(data)
    return [row for _, row in rows(path, ("name", "text"), **more)]


@pytest.mark.parametrize(
    "data",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.replace(",", " , ").encode(),
        b'name,text\n"a.wav","a dog"\nb.wav,rain',
    ],
)
def test_one_table_in_many_dresses(tmp_path: Path, data: bytes) -> None:
    expected = [{"name": "a.wav", "text": "a dog"}, {"name": "b.wav", "text": "rain"}]
    assert read(tmp_path / "t.csv", data) == expected


def test_values_may_span_lines_and_further_columns_stay(tmp_path: Path) -> None:
    found = read(tmp_path / "t.csv", b'more,text,name\n1,"a ""dog""\nbarks",a.wav\n')
    assert found == [{"more": "1", "text": 'a "dog"\nbarks', "name": "a.wav"}]


def test_where_a_row_stands(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(GOOD.encode())
    assert [where for where, _ in rows(path, ("name",))] == [f"{path}, line 2", f"{path}, line 3"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "holds no rows"),
        (b"name,text\n", "holds no rows"),
        (GOOD.encode("utf-16"), r"is not UTF-8 \(its byte 0\): save it as UTF-8"),
        ("name,text\na.wav,caf\u00e9\n".encode("latin-1"), r"is not UTF-8 \(its byte 19\)"),
        (b"name,text\na.wav,a\0dog\n", "line 2: there is a null character"),
        (b"Name,text\na.wav,a dog\n", "column name is missing"),
        (GOOD.replace(",", ";").encode(), "column name, text is missing"),
        (b"name,text\na.wav\n", "line 2: text is missing"),
        (b"name,text\na.wav, \n", "line 2: text is missing"),
        (b"name,text\na.wav,a dog,barks\n", "line 2: more fields than columns"),
        (b'name,text\n"a.wav"x,a dog\n', "line 2: it is no CSV there"),
        (b'name,text\na.wav,"a dog\n', "it is no CSV there"),
        (b"name,text\na.wav," + b"x" * 200_000, "line 2: it is no CSV there: field larger"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read(tmp_path / "t.csv", data)
    assert "t.csv" in str(caught.value)


def test_what_may_be_empty_must_still_be_there(tmp_path: Path) -> None:
    data = b"name,text\na.wav,\n"
    assert read(tmp_path / "t.csv", data, empty=("text",)) == [{"name": "a.wav", "text": ""}]
    with pytest.raises(DataError, match="line 2: text is missing"):
        read(tmp_path / "t.csv", b"name,text\na.wav\n", empty=("text",))
