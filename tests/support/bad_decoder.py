"""``engine.decoder``, to which some files do what they say."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from engine import decoder
from model.audio.decoding import decode_samples


def _decode(data: bytes, *arguments: Any) -> Any:
    match data:
        case b"loop":
            while True:
                pass
        case b"sleep":
            threading.Event().wait()
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"eat":
            return [bytearray(1 << 26) for _ in range(1000)]
        case b"fail":
            raise ValueError("a fault of ours")
    return decode_samples(data, *arguments)


decoder.decode_samples = _decode
decoder.main()
