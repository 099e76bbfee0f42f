"""``audiodiff corpus``: which files are meant, and the run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import csv, parquet
from tqdm import tqdm

from cli.files import EXTENSIONS, STDIN, Found, find
from engine.captioner import Captioner
from engine.corpus.folder import LISTING, Folder
from engine.corpus.run import connected, places, run
from engine.corpus.storage import locate
from engine.corpus.worker import Order
from model.errors import AudiodiffError, OptionsError
from model.types import GenerationOptions
from service.settings import Settings
from service.version import version

DEVICES = ("auto", "cpu", "cuda")
MANIFESTS = (".csv", ".parquet")


def listing(arguments: Iterable[str]) -> tuple[pa.Table, str | None]:
    """All files that are meant, each once and sorted; and what to say of those passed over.

    The table is one of ``LISTING``; local paths are absolute. Raises AudiodiffError, OptionsError,
    and what a file system raises where it is searched.
    """
    found = Found()
    tables = []
    for argument in arguments:
        if argument == STDIN:
            raise OptionsError("a corpus is not read from standard input: name files")
        if PurePosixPath(argument).suffix.lower() in MANIFESTS:
            tables.append(_manifest(argument))
        elif "://" in argument:
            _search(argument, found)
        else:
            local = find([argument])
            found.files += [_text(os.path.abspath(path)) for path in local.files]  # noqa: PTH100
            found.passed_over += local.passed_over
    tables.append(pa.Table.from_pylist([{"path": path} for path in found.files], LISTING))
    files = pa.concat_tables(tables).group_by(LISTING.names).aggregate([]).cast(LISTING)
    if not files.num_rows:
        raise AudiodiffError("there is no file to caption")
    return files.sort_by([(name, "ascending") for name in LISTING.names]), found.remark


def order(
    output: str,
    settings: Settings,
    captioner: Captioner,
    options: GenerationOptions,
    events: bool,
) -> Order:
    """What the workers are told; ``captioner`` is the checkpoint's, and says what it sets itself.

    Raises OptionsError.
    """
    if settings.device not in DEVICES:
        raise OptionsError(f"--device {settings.device}: Ray says which GPU; use cuda")
    captioner.check(options)
    given = {name: value for name, value in asdict(options).items() if value is not None}
    return Order(
        output=output if "://" in output else os.path.abspath(output),  # noqa: PTH100
        model=settings.model.resolve(),
        revision=captioner.revision,
        device=settings.device,
        dtype=settings.dtype,
        runtime=settings.runtime,
        compile_cache=settings.compile_cache and settings.compile_cache.resolve(),
        options=options,
        events=events,
        max_audio_seconds=settings.max_audio_seconds,
        settings={
            "model": captioner.name,
            "revision": captioner.revision,
            **asdict(captioner.defaults),
            **given,
            "events": events,
            "max_audio_seconds": settings.max_audio_seconds,
            "dtype": settings.dtype,
            "runtime": settings.runtime,
        },
        version=version(),
    )


def caption(files: pa.Table, order: Order, size: int, ray: str | None, workers: int | None) -> int:
    """Caption what is not captioned yet, in parts of ``size`` files; how many failed in all.

    Raises AudiodiffError and OSError.
    """
    folder = Folder(order.output)
    folder.begin(files, size, order.settings)
    sizes, done = folder.sizes, folder.done
    left = [part for part in range(len(sizes)) if part not in done]
    before = sum(sizes[part] for part in done)
    with tqdm(total=len(files), initial=before, unit="file", disable=None, leave=False) as bar:
        if left:
            with connected(ray, workers):
                for part in run(left, order, places(order.device, workers)):
                    bar.update(sizes[part])
    return folder.failed


def _manifest(path: str) -> pa.Table:
    """The rows of a CSV or Parquet file; what is relative there is so to the folder it lies in."""
    system, name = locate(path)
    with system.open(name, "rb") as file:
        try:
            if path.lower().endswith(".csv"):
                as_text = csv.ConvertOptions(
                    column_types=dict.fromkeys(LISTING.names, pa.string()), strings_can_be_null=True
                )
                read = csv.read_csv(file, convert_options=as_text)
            else:
                read = parquet.read_table(file)
            if "path" not in read.column_names:
                raise AudiodiffError(f"{path} has no column 'path'")
            columns = read.select([name for name in LISTING.names if name in read.column_names])
            rows = columns.cast(pa.schema([(name, pa.string()) for name in columns.column_names]))
        except pa.ArrowException as error:
            raise AudiodiffError(f"{path} cannot be read as a manifest: {error}") from error
    if rows["path"].null_count:
        raise AudiodiffError(f"{path} has a row without a path")
    base = path.rpartition("/")[0] if "://" in path else str(Path(path).resolve().parent)
    return pa.Table.from_pylist(
        [
            {column: value and _absolute(value, base) for column, value in row.items()}
            for row in rows.to_pylist()
        ],
        LISTING,
    )


def _absolute(path: str, base: str) -> str:
    if "://" in path or path.startswith("/"):
        return path
    return f"{base}/{path}"


def _search(url: str, found: Found) -> None:
    """Add a file, the audio files of a folder, or what a pattern means; over HTTP all is a file.

    As with local ones, what is not there stays as it is.
    """
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        found.files.append(url)
        return
    system, name = locate(url)
    try:
        names = system.glob(name) if "*" in name else system.find(name)
    except FileNotFoundError:
        names = []
    audio = []
    for one in sorted(names):
        shown = one if "://" in one else f"{scheme}://{one}"
        path = PurePosixPath(one)
        if one == name or path.suffix.lower() in EXTENSIONS:
            audio.append(shown)
        elif not path.name.startswith("."):
            found.passed_over.append(shown)
    found.files += audio or [url]


def _text(path: str) -> str:
    """A name that is not text as text: the file is told of, and cannot be opened."""
    return os.fsencode(path).decode(errors="replace")
