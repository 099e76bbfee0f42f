"""The output folder: what is to be done, and the parts that are.

``_files.parquet`` has all files, in a row group for each part; ``_corpus.json`` what they are
captioned with; ``part-000000.parquet`` and so on the answers. A file appears under its name whole
or not at all, so that a part that is there is done.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from engine.corpus.storage import locate
from model.errors import AudiodiffError

LISTING = pa.schema([pa.field("path", pa.string(), nullable=False), ("reference", pa.string())])
"""Of the files: ``reference`` is null where a caption is wanted, not a difference."""
_INTERVAL = pa.struct([("start_s", pa.float64()), ("end_s", pa.float64())])
_CAPTION: list[tuple[str, pa.DataType]] = [
    ("caption", pa.string()),
    ("score", pa.float64()),
    ("truncated", pa.bool_()),
]
_SOUND = pa.struct(
    [("label", pa.string()), ("score", pa.float64()), ("events", pa.list_(_INTERVAL))]
)
ANSWERS = pa.schema(
    [
        *LISTING,
        *_CAPTION,
        ("alternatives", pa.list_(pa.struct(_CAPTION))),
        ("sounds", pa.list_(_SOUND)),
        ("duration_s", pa.float64()),
        ("warnings", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
)
"""Of a part: the fields of the HTTP API; either ``error`` is null, or all of them are."""
METADATA = b"audiodiff"
"""Key of a part's metadata: JSON."""

_FILES, _CORPUS = "_files.parquet", "_corpus.json"  # readers of Parquet pass such names over
_PART = re.compile(r"part-(\d{6,})\.parquet")
_UNFINISHED = ".unfinished-"
ATTEMPTS = 4
"""A part whose worker died is begun so many times."""


class Folder:
    """One output folder, local or at a URL; one run at a time may write to it."""

    def __init__(self, url: str) -> None:
        """Raises what ``locate`` raises."""
        self.url = url
        self._system, self._path = locate(url)

    def begin(self, files: pa.Table, size: int, settings: Mapping[str, Any]) -> None:
        """Say what is to be done, in parts of ``size`` files; or find that it was said before.

        Raises AudiodiffError if it was other files, parts or settings, and OSError.
        """
        wanted = {"files_per_part": size, **settings}
        if self._system.exists(self._at(_CORPUS)):
            self._resume(files, wanted)
            return
        if any(not name.startswith(_UNFINISHED) and name != _FILES for name in self._names()):
            raise AudiodiffError(
                f"{self.url} is not empty, and no run of this command began there: give another "
                "--output"
            )
        with self._written(_FILES, self._at(f"{_UNFINISHED}files")) as file:
            pq.write_table(files, file, row_group_size=size, use_dictionary=False)
        with self._written(_CORPUS, self._at(f"{_UNFINISHED}corpus")) as file:
            file.write(json.dumps(wanted, indent=2).encode())

    @property
    def sizes(self) -> list[int]:
        """Files in each part."""
        with self._system.open(self._at(_FILES)) as file:
            about = pq.read_metadata(file)
        return [about.row_group(part).num_rows for part in range(about.num_row_groups)]

    @property
    def done(self) -> set[int]:
        """Parts that are there."""
        return {int(found[1]) for name in self._names() if (found := _PART.fullmatch(name))}

    @property
    def failed(self) -> int:
        """Files of the parts that are there which have an error instead of an answer."""
        rows = 0
        for part in self.done:
            with self._system.open(self._at(_name(part))) as file:
                errors = pq.read_table(file, columns=["error"])["error"]
            rows += len(errors) - errors.null_count
        return rows

    def files(self, part: int) -> list[dict[str, Any]]:
        """The rows of ``LISTING`` of a part."""
        with self._system.open(self._at(_FILES)) as file:
            rows: list[dict[str, Any]] = pq.ParquetFile(file).read_row_group(part).to_pylist()
        return rows

    def attempt(self, part: int) -> str:
        """Begin a part; the name under which it is unfinished, which stays if the worker dies.

        Raises AudiodiffError once it was begun ``ATTEMPTS`` times: Ray tries without end.
        """
        begun = f"{_UNFINISHED}{part:06}-"
        if sum(name.startswith(begun) for name in self._names()) >= ATTEMPTS:
            raise AudiodiffError(f"part {part} ended its worker {ATTEMPTS} times")
        unfinished = self._at(f"{begun}{uuid.uuid4()}")
        self._system.pipe_file(unfinished, b"")
        return unfinished

    def write(
        self,
        part: int,
        unfinished: str,
        rows: Sequence[Mapping[str, Any]],
        about: Mapping[str, Any],
    ) -> None:
        """Finish a part, with rows of ``ANSWERS``; ``about`` goes into its metadata."""
        schema = ANSWERS.with_metadata({METADATA: json.dumps(about).encode()})
        with self._written(_name(part), unfinished) as file:
            pq.write_table(pa.Table.from_pylist(list(rows), schema), file)

    def _resume(self, files: pa.Table, wanted: Mapping[str, Any]) -> None:
        began = json.loads(self._system.cat_file(self._at(_CORPUS)))
        if changed := [name for name in wanted if began.get(name) != wanted[name]]:
            told = ", ".join(f"{name} {began.get(name)}, not {wanted[name]}" for name in changed)
            raise AudiodiffError(
                f"the run in {self.url} began with {told}: go on as it began, or give another "
                "--output"
            )
        with self._system.open(self._at(_FILES)) as file:
            listed = pq.read_table(file)
        if not listed.equals(files):
            before, now = (set(_rows(table)) for table in (listed, files))
            raise AudiodiffError(
                f"the files are not those with which the run in {self.url} began (new: "
                f"{len(now - before)}, gone: {len(before - now)}): give the same ones, or another "
                "--output"
            )
        for name in self._names():
            if name.startswith(_UNFINISHED):
                self._system.rm_file(self._at(name))

    def _names(self) -> list[str]:
        self._system.invalidate_cache()
        try:
            paths = self._system.ls(self._path, detail=False)
        except FileNotFoundError:
            return []
        return [path.rpartition("/")[2] for path in paths]

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}"

    @contextmanager
    def _written(self, name: str, unfinished: str) -> Iterator[BinaryIO]:
        """A new file, which gets its name when it is whole."""
        with self._system.open(unfinished, "wb") as file:
            yield file
        self._system.mv(unfinished, self._at(name))


def _rows(files: pa.Table) -> Iterator[tuple[str, str | None]]:
    return zip(*(files[name].to_pylist() for name in LISTING.names), strict=True)


def _name(part: int) -> str:
    return f"part-{part:06}.parquet"
