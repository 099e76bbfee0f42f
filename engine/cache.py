"""Encoder outputs of clips met before, found again by content.

A monitor sends the same reference again and again: it is decoded and encoded once.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from operator import attrgetter

from cachetools import LRUCache

from model.types import Encoded, SourceInfo


@dataclass(frozen=True)
class CachedClip:
    """What is kept of a clip."""

    source: SourceInfo
    encoded: Encoded

    @property
    def size(self) -> int:
        """In bytes, on the model's device."""
        levels = self.encoded.levels
        own = self.encoded.frames.nbytes + self.encoded.mask.nbytes
        return own + (0 if levels is None else levels.nbytes)


class EncoderCache:
    """Holds at most ``max_bytes`` of encoder outputs; the least recently used go first.

    Safe from any thread.
    """

    def __init__(self, max_bytes: int, revision: str) -> None:
        """``revision`` is the model's: another one's outputs are never found."""
        self._revision = revision.encode()
        self._lock = threading.Lock()
        self._clips: LRUCache[bytes, CachedClip] = LRUCache(max_bytes, attrgetter("size"))

    def key(self, data: bytes) -> bytes:
        """What a file is found by: a digest of its bytes and the model's revision."""
        digest = hashlib.sha256(self._revision)
        digest.update(data)
        return digest.digest()

    def get(self, key: bytes) -> CachedClip | None:
        """What is known of the clip; it counts as used."""
        with self._lock:
            return self._clips.get(key)

    def put(self, key: bytes, clip: CachedClip) -> None:
        """Keep a clip's outputs, and drop the least recently used beyond the bound."""
        if clip.size > self._clips.maxsize:
            return
        # A clip's frames are a view of its batch's, all of which the view would keep.
        own = clip.encoded.clone()
        with self._lock:
            self._clips[key] = CachedClip(clip.source, own)

    @property
    def size(self) -> int:
        """Bytes held."""
        return int(self._clips.currsize)
