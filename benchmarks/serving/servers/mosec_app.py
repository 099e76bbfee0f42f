"""mosec: decoding workers before one batching worker; one endpoint takes both kinds of request."""

from __future__ import annotations

import io
import os

import mosec
import python_multipart

from benchmarks.serving.servers.shared import MAX_BATCH, describe, files, load
from model.audio import decode
from model.types import Waveform

RATE = 16_000


def parse(body: bytes) -> dict[str, bytes]:
    """The parts of a multipart body; mosec hands a worker the body alone."""
    boundary = body[: body.index(b"\r\n")].removeprefix(b"--").decode()
    found: dict[str, bytes] = {}

    def on_file(file: python_multipart.multipart.File) -> None:
        file.file_object.seek(0)
        found[file.field_name.decode()] = file.file_object.read()

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}".encode()}
    python_multipart.parse_form(headers, io.BytesIO(body), lambda _: None, on_file)
    return found


class Decode(mosec.Worker):  # type: ignore[misc]
    """Bytes -> waveforms."""

    def deserialize(self, data: bytes) -> list[bytes]:  # noqa: D102
        return files(parse(data))

    def forward(self, data: list[bytes]) -> tuple[Waveform, ...]:  # noqa: D102
        return tuple(decode(file, RATE) for file in data)


class Caption(mosec.Worker):  # type: ignore[misc]
    """Waveforms -> captions."""

    def __init__(self) -> None:
        super().__init__()
        self.captioner = load()

    def forward(self, data: list[tuple[Waveform, ...]]) -> list[dict[str, str]]:  # noqa: D102
        return [{"caption": text} for text in describe(self.captioner, data)]


if __name__ == "__main__":
    server = mosec.Server()
    server.append_worker(Decode, num=os.cpu_count() or 1)
    server.append_worker(Caption, max_batch_size=MAX_BATCH, max_wait_time=10)
    server.run()
