"""A camera on loopback: an RTSP server (RFC 2326) that plays one sound to all who ask, over TCP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

import numpy as np
from numpy.typing import NDArray

from tests.support.answering import answering

PACKET = 160
"""Samples."""
_TYPE = 97


class Camera(ThreadingTCPServer):
    """Ends the connection when the sound ends."""

    daemon_threads = True

    def __init__(self, samples: NDArray[np.float32], rate: int) -> None:
        """[S] in [-1, 1)."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.samples = (samples * 2**15).astype(">i2")
        self.rate = rate
        self.played = 0
        """How often."""

    @property
    def url(self) -> str:
        return f"rtsp://me:secret@127.0.0.1:{self.server_address[1]}/1"

    @property
    def description(self) -> str:
        """SDP (RFC 4566)."""
        return (
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio 0 RTP/AVP {_TYPE}\r\na=rtpmap:{_TYPE} L16/{self.rate}/1\r\na=control:1\r\n"
        )


class _Handler(StreamRequestHandler):
    server: Camera

    def handle(self) -> None:
        while request := self._request():
            method, number = request
            headers = {"CSeq": number, "Session": "1"}
            body = ""
            if method == "DESCRIBE":
                body = self.server.description
                headers |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
            elif method == "SETUP":
                headers["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
            lines = ["RTSP/1.0 200 OK", *(f"{name}: {value}" for name, value in headers.items())]
            self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                self.server.played += 1
                self._play()
                return

    def _request(self) -> tuple[str, str] | None:
        """Method and number of the next; None at the end."""
        method, number = self.rfile.readline().decode().partition(" ")[0], ""
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(": ")
            if name == "CSeq":
                number = value
        return (method, number) if method else None

    def _play(self) -> None:
        """RTP (RFC 3550), each packet after a dollar, its channel and its length."""
        samples = self.server.samples
        for number, start in enumerate(range(0, len(samples), PACKET)):
            packet = struct.pack(">BBHII", 0x80, _TYPE, number, start, 1)
            packet += samples[start : start + PACKET].tobytes()
            self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


@contextmanager
def camera(samples: NDArray[np.float32], rate: int) -> Iterator[Camera]:
    """One that plays ``samples`` [S]."""
    with answering(Camera(samples, rate)) as server:
        yield server
