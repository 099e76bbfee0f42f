"""Clients that do not keep to HTTP, or not to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

PIECES = 20
PAUSE_S = 0.1

Hostile = Callable[[str, int, bytes], Awaitable[int]]
"""Host, port and an intact file to the status that is answered; 0 if none is."""


def form(file: bytes) -> bytes:
    """The body of a request for a caption."""
    return (
        b'--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--xx--\r\n'
        % file
    )


def _head(length: str, more: str = "") -> bytes:
    return (
        "POST /caption HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=xx\r\n{length}\r\n{more}\r\n"
    ).encode()


async def _send(host: str, port: int, *pieces: bytes, answered: bool = True) -> int:
    """Send the pieces, with pauses between them; the status of the answer, if it is waited for."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        with suppress(ConnectionError):  # it may answer, and close, before all is sent
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if len(pieces) > 1:
                    await asyncio.sleep(PAUSE_S)
        if not answered:
            return 0
        with suppress(ConnectionError):
            line = await reader.readline()
            while await reader.read(1 << 16):
                pass
            return int(line.split()[1]) if line else 0
        return 0
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def slow(host: str, port: int, file: bytes) -> int:
    """Send the body in small pieces."""
    body = form(file)
    step = -(-len(body) // PIECES)
    pieces = [body[at : at + step] for at in range(0, len(body), step)]
    return await _send(host, port, _head(f"Content-Length: {len(body)}"), *pieces)


async def leaves(host: str, port: int, file: bytes) -> int:
    """Hang up in the middle of the body."""
    body = form(file)
    head = _head(f"Content-Length: {len(body)}")
    return await _send(host, port, head + body[: len(body) // 2], answered=False)


async def leaves_at_the_end(host: str, port: int, file: bytes) -> int:
    """Hang up when all is sent."""
    body = form(file)
    return await _send(host, port, _head(f"Content-Length: {len(body)}") + body, answered=False)


async def dawdles(host: str, port: int, file: bytes) -> int:
    """Announce more than is sent, and wait."""
    body = form(file)
    return await _send(host, port, _head(f"Content-Length: {len(body) + 1000}") + body)


async def short(host: str, port: int, file: bytes) -> int:
    """Announce less than is sent."""
    body = form(file)
    return await _send(host, port, _head(f"Content-Length: {len(body) - 1000}") + body)


async def huge_head(host: str, port: int, file: bytes) -> int:
    """Send a megabyte of headers."""
    body = form(file)
    head = _head(f"Content-Length: {len(body)}", f"X: {'x' * (1 << 20)}\r\n")
    return await _send(host, port, head + body)


async def bad_chunks(host: str, port: int, file: bytes) -> int:
    """Send chunks whose sizes are no numbers."""
    return await _send(host, port, _head("Transfer-Encoding: chunked") + b"zz\r\n" + form(file))


async def two_lengths(host: str, port: int, file: bytes) -> int:
    """State two sizes that differ."""
    body = form(file)
    head = _head(f"Content-Length: {len(body)}\r\nContent-Length: 7")
    return await _send(host, port, head + body)


async def many_parts(host: str, port: int, file: bytes) -> int:
    """Send ten thousand parts behind the file."""
    end = b"--xx--\r\n"
    body = form(file).removesuffix(end) + form(b"").removesuffix(end) * 10_000 + end
    return await _send(host, port, _head(f"Content-Length: {len(body)}") + body)


EXPECTED: dict[Hostile, tuple[int, ...]] = {
    slow: (200,),
    leaves: (0,),
    leaves_at_the_end: (0,),
    dawdles: (504,),
    short: (400,),
    huge_head: (400, 431, 0),
    bad_chunks: (400,),
    two_lengths: (400,),
    many_parts: (400, 0),
}
"""What each is answered. The service hangs up on who goes on sending what is refused already."""
