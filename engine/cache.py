"""Encoder outputs of clips heard before, found again by content.

A monitor sends the same reference again and again: it is decoded and encoded once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from model.types import Encoded, SourceInfo


@dataclass(frozen=True)
class Heard:
    """What is kept of a clip."""

    source: SourceInfo
    encoded: Encoded

    @property
    def size(self) -> int:
        """In bytes, on the model's device."""
        return self.encoded.frames.nbytes + self.encoded.mask.nbytes


class EncoderCache:
    """Holds at most ``max_bytes`` of encoder outputs; the least recently used go first.

    Safe from any thread.
    """

    def __init__(self, max_bytes: int, revision: str) -> None:
        """``revision`` is the model's: another one's outputs are never found."""
        self._max_bytes = max_bytes
        self._revision = revision.encode()
        self._lock = threading.Lock()
        self._heard: OrderedDict[bytes, Heard] = OrderedDict()
        self._size = 0

    def key(self, data: bytes) -> bytes:
        """What a file is found by: a digest of its bytes and the model's revision."""
        digest = hashlib.sha256(self._revision)
        digest.update(data)
        return digest.digest()

    def get(self, key: bytes) -> Heard | None:
        """What is known of the clip; it counts as used."""
        with self._lock:
            heard = self._heard.get(key)
            if heard is not None:
                self._heard.move_to_end(key)
            return heard

    def put(self, key: bytes, heard: Heard) -> None:
        """Keep a clip's outputs, and drop the least recently used beyond the bound."""
        if heard.size > self._max_bytes:
            return
        # A clip's frames are a view of its batch's, all of which the view would keep.
        own = Encoded(heard.encoded.frames.clone(), heard.encoded.mask.clone())
        heard = Heard(heard.source, own)
        with self._lock:
            if (old := self._heard.pop(key, None)) is not None:
                self._size -= old.size
            self._heard[key] = heard
            self._size += heard.size
            while self._size > self._max_bytes:
                _, dropped = self._heard.popitem(last=False)
                self._size -= dropped.size

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size
