"""``python -m engine.block_decoder CONNECTION FILE``: decodes one long recording, block by block.

The two are file descriptors that ``engine.recording`` hands down. Over the connection comes JSON,
the target rate and the limits; each block is answered with JSON, which says what the file is so
far, and its samples, float32. Nothing (an empty message) ends it. It waits for whoever takes the
blocks, and makes way for short files, which have processes of their own.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection

from engine.decoder import confine, failure, grant
from model.audio import DecodeLimits
from model.audio.blocks import decode_blocks

NICENESS = 10


def main() -> None:
    """Serve one file."""
    confine()
    os.nice(NICENESS)
    # Whoever took the blocks may leave.
    with Connection(int(sys.argv[1])) as connection, suppress(BrokenPipeError, ConnectionError):
        try:
            _decode(connection, int(sys.argv[2]))
        except Exception as error:
            connection.send_bytes(json.dumps(failure(error)).encode())


def _decode(connection: Connection, file: int) -> None:
    request = json.loads(connection.recv_bytes())
    limits = DecodeLimits(**request["limits"])
    with os.fdopen(file, "rb") as recording:
        grant(limits.max_cpu_s)
        for samples, source in decode_blocks(recording, request["rate"], limits):
            connection.send_bytes(json.dumps(asdict(source)).encode())
            connection.send_bytes(samples.data)
            grant(limits.max_cpu_s)
    connection.send_bytes(b"")


if __name__ == "__main__":
    main()
