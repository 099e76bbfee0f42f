"""``python -m engine.decoder CONNECTION MEMORY``: decodes one file after the other.

The two are file descriptors that ``engine.decoders`` hands down. Over the connection comes JSON:
the size of the file that lies in the memory, the target rate and the limits. JSON is answered: what
the file was, and how many samples, float32, lie in the memory now; or an error. It loads neither
torch nor a model, so that another one is soon up.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
import traceback
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from model.audio import DecodeLimits
from model.audio.decoding import decode_samples
from model.errors import AudioError, AudioTooLarge

MAX_MEMORY = 1 << 30
"""Bytes of its own that the process may hold: four times what a clip may decode to."""

READY = b"ready"


def main() -> None:
    """Serve until the other end closes."""
    confine()
    with Connection(int(sys.argv[1])) as connection:
        connection.send_bytes(READY)
        while True:
            try:
                request = json.loads(connection.recv_bytes())
            except EOFError:
                return
            connection.send_bytes(json.dumps(_answer(request, int(sys.argv[2]))).encode())


def _answer(request: dict[str, Any], memory: int) -> dict[str, Any]:
    limits = DecodeLimits(**request["limits"])
    grant(limits.max_cpu_s)
    try:
        data = os.pread(memory, request["size"], 0)
        samples, source = decode_samples(data, request["rate"], limits)
        os.pwrite(memory, samples.data, 0)
    except Exception as error:
        return failure(error)
    return {"size": len(samples), **asdict(source)}


def failure(error: Exception) -> dict[str, Any]:
    """What is answered of it; to be called where it was caught."""
    if isinstance(error, AudioError):
        return {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, MemoryError):
        message = "Decoding takes more memory than is granted. Send fewer channels or a part."
        return {"error": AudioTooLarge.__name__, "message": message}
    return {"error": None, "message": traceback.format_exc()}


def confine() -> None:
    """Before the first file: what holds for this process whatever it decodes."""
    # Whoever stops the service may tell all of its processes; it still answers what it accepted.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_DATA, MAX_MEMORY)


def grant(cpu_s: float) -> None:
    """So much more processor time: past it the kernel ends the process, whatever it does."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + cpu_s))


def limit(kind: int, value: int) -> None:
    """Hold this process to so much of a resource, or to less where it is granted less."""
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


if __name__ == "__main__":
    main()
