"""Multipart bodies: cut off while they stream in, then validated, with the query's options."""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from engine.settings import MIB
from service.errors import BodyTooLarge, MalformedBody, NoRoom
from service.forms import Form

F = TypeVar("F", bound=Form)
_MAX_PARTS = 16
_MAX_TEXT_BYTES = 1024
_IN_MEMORY = 1 << 20
"""Bytes of a file that goes to a disk."""


class _Parser(MultiPartParser):
    """Knows whether the closing boundary was seen; files stay in memory, or go to a disk.

    A part is a file unless its name is among ``texts``: not every client names a file (or it does
    so as ``filename*``, which is not read), and bytes under a wrong name are to be told of it.
    """

    complete = False
    spool_max_size = 0  # bytes in memory; no limit
    texts: Collection[str] = ()

    def on_headers_finished(self) -> None:
        part = self._current_part
        _, given = parse_options_header(part.content_disposition)
        name = given.get(b"name", b"").decode(errors="replace")
        if part.content_disposition and name not in self.texts and b"filename" not in given:
            part.content_disposition += b'; filename=""'
        super().on_headers_finished()

    def on_end(self) -> None:
        self.complete = True


@asynccontextmanager
async def read_form(
    request: Request, kind: type[F], max_bytes: int, *, to_disk: bool = False
) -> AsyncGenerator[F]:
    """The validated form of a request; its files are closed on leaving.

    They lie in memory, or with ``to_disk`` in files that have no name.
    What the query string says counts as the fields of the form do; an empty one says nothing.

    Raises BodyTooLarge, NoRoom, MalformedBody, RequestValidationError (the field is named) and
    Starlette's ClientDisconnect.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise MalformedBody("send the audio as multipart/form-data (curl -F, a FormData object)")
    if announced(request, max_bytes) > max_bytes:
        raise _too_large(max_bytes)
    form = await _parse(request, kind, max_bytes, to_disk)
    try:
        yield _validate([*request.query_params.multi_items(), *form.multi_items()], kind)
    finally:
        await form.close()


def announced(request: Request, otherwise: int) -> int:
    """The body's size in bytes by its header; ``otherwise`` where it does not say."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else otherwise


async def _parse(request: Request, kind: type[Form], max_bytes: int, to_disk: bool) -> FormData:
    async def body() -> AsyncGenerator[bytes]:
        received = 0
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                received += len(chunk)
                if received > max_bytes:
                    raise _too_large(max_bytes)
                yield chunk
        if not parser.complete:
            raise MalformedBody("the body ends before its closing boundary; send it again, whole")

    # What the body raises, it raises inside the parser, which then closes its files.
    async with aclosing(body()) as stream:
        parser = _Parser(
            request.headers,
            stream,
            max_files=_MAX_PARTS,
            max_fields=_MAX_PARTS,
            max_part_size=_MAX_TEXT_BYTES,
        )
        parser.texts = kind.texts()
        if to_disk:
            parser.spool_max_size = _IN_MEMORY
        try:
            return await parser.parse()
        except MultiPartException as error:
            raise MalformedBody(f"{error.message} Send well-formed multipart/form-data.") from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise NoRoom("there is no room for a recording of this size; send a part") from error
        except UnicodeError as error:  # of a charset that the content type names
            raise MalformedBody("the names of the parts cannot be read; send UTF-8") from error


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"the body is larger than {max_bytes / MIB:g} MiB; send a shorter or compressed clip"
    )


def _validate(fields: Iterable[tuple[str, str | UploadFile]], kind: type[F]) -> F:
    values: dict[str, str | UploadFile] = {}
    for name, value in fields:
        if value == "" and name in kind.texts():
            continue
        if name in values:
            message = "given more than once; give it once, in the form or in the query string"
            raise RequestValidationError([{"loc": (name,), "msg": message}])
        values[name] = value
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False)) from error
