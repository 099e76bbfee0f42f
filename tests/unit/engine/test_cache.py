"""The cache of encoder outputs: found by content, bounded in bytes."""

from __future__ import annotations

import random
import threading

import torch

from engine.cache import CachedClip, EncoderCache
from model.types import Encoded, SourceInfo

FRAME_BYTES = 4 * 8 + 1  # eight features and the mask


def cached(frames: int, number: float = 0.0) -> CachedClip:
    encoded = Encoded(
        torch.full((1, frames, 8), float(number)), torch.ones(1, frames, dtype=torch.bool)
    )
    return CachedClip(SourceInfo(number, 44100, 1, "wav"), encoded)


def test_clips_of_one_length_are_told_apart_and_so_are_revisions() -> None:
    cache = EncoderCache(10**6, "one")
    keys = {cache.key(data) for data in (b"aaaa", b"aaab", b"", b"aaaaa")}
    assert len(keys) == 4
    assert cache.key(b"aaaa") == EncoderCache(1, "one").key(b"aaaa")
    assert cache.key(b"aaaa") not in (EncoderCache(1, "two").key(b"aaaa"),)


def test_size_is_that_of_the_tensors() -> None:
    assert cached(10).size == 10 * FRAME_BYTES


def test_the_least_recently_used_go_first() -> None:
    cache = EncoderCache(3 * FRAME_BYTES, "r")
    for name in (b"a", b"b", b"c"):
        cache.put(name, cached(1))
    assert cache.get(b"a") is not None  # used again
    cache.put(b"d", cached(1))
    assert cache.get(b"b") is None
    assert all(cache.get(name) is not None for name in (b"a", b"c", b"d"))
    cache.put(b"e", cached(3))
    assert cache.size == 3 * FRAME_BYTES
    assert [name for name in (b"a", b"c", b"d", b"e") if cache.get(name)] == [b"e"]


def test_what_is_larger_than_the_cache_is_not_kept_and_drops_nothing() -> None:
    cache = EncoderCache(3 * FRAME_BYTES, "r")
    cache.put(b"a", cached(3))
    cache.put(b"b", cached(4))
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None


def test_a_clip_kept_again_counts_once() -> None:
    cache = EncoderCache(10 * FRAME_BYTES, "r")
    for number in (0.0, 1.0, 2.0, 3.0, 4.0):
        cache.put(b"a", cached(2, number))
    assert cache.size == 2 * FRAME_BYTES
    found = cache.get(b"a")
    assert found is not None
    assert found.source.duration_s == 4


def test_it_stays_in_its_bound_under_threads() -> None:
    cache = EncoderCache(50 * FRAME_BYTES, "r")
    over: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(500):
            name = rng.randrange(40)
            found = cache.get(bytes([name]))
            if found is None:
                cache.put(bytes([name]), cached(rng.randrange(1, 12), name))
            elif found.source.duration_s != name:
                over.append(name)
            if not 0 <= cache.size <= 62 * FRAME_BYTES:  # the one being put may be on top
                over.append(cache.size)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert over == []
    assert cache.size == sum(
        found.size for name in range(40) if (found := cache.get(bytes([name]))) is not None
    )


def test_a_kept_clip_keeps_nothing_of_its_batch() -> None:
    cache = EncoderCache(10**6, "r")
    batch = Encoded(torch.ones(16, 50, 8), torch.ones(16, 50, dtype=torch.bool))
    for number, clip in enumerate(batch.split()):
        cache.put(bytes([number]), CachedClip(SourceInfo(1.0, 44100, 1, "wav"), clip))
    for number in range(16):
        kept = cache.get(bytes([number]))
        assert kept is not None
        assert kept.encoded.frames.untyped_storage().nbytes() == kept.encoded.frames.nbytes
    assert cache.size == 16 * 50 * FRAME_BYTES
