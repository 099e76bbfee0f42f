"""Tables: CSV files in UTF-8 with a header, of which no row is lost in silence."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from training.datasets.errors import DataError


def rows(
    path: Path, columns: Sequence[str], *, empty: Collection[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands ("FILE, line N"), and its values, outer spaces stripped.

    Further columns are given, too. Of ``columns``, those in ``empty`` may be.

    Raises:
        FileNotFoundError: there is no such file.
        DataError: it is not UTF-8 or no CSV, lacks a column or any rows, or a row lacks a value or
            has one too many; the message says where.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    names: list[str] | None = None
    found = False
    try:
        for fields in reader:
            values = [field.strip() for field in fields]
            where = f"{path}, line {reader.line_num}"
            if names is None:
                names = values
                if lacking := [name for name in columns if name not in names]:
                    raise DataError(f"{path}: column {', '.join(lacking)} is missing")
                continue
            if not values:
                continue  # a blank line
            if len(values) > len(names):
                raise DataError(f"{where}: more fields than columns")
            row = dict(zip(names, values, strict=False))
            may_lack = row.keys() & {*empty}  # a row cut short does not even hold an empty value
            if lacking := [c for c in columns if not row.get(c) and c not in may_lack]:
                raise DataError(f"{where}: {', '.join(lacking)} is missing")
            found = True
            yield where, row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: it is no CSV there: {error}") from error
    if not found:
        raise DataError(f"{path} holds no rows")


def _text(path: Path) -> str:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (its byte {error.start}): save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{path}, line {line}: there is a null character")
    return text
