"""A long recording to mono, block by block, in memory that does not grow with its length.

The file lies on a disk, and FFmpeg alone reads it; what it promises and does not hold is told from
its headers, and not, as of a clip (``decoding``), from all of it.

Shapes: S samples, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import BinaryIO

import numpy as np

from model.audio.containers import recognize
from model.audio.decoding import DecodeLimits, check, lost_note
from model.audio.mixing import mix
from model.audio.ogg import NO_END, marks_end
from model.audio.readers import Block, Losses, Samples, read_with_ffmpeg
from model.audio.resampling import StreamResampler
from model.audio.riff import wav_missing
from model.errors import AudioTooLong, CorruptAudio, EmptyAudio
from model.types import SourceInfo

BLOCK_S = 5.0
BLOCK_BYTES = 8 << 20
"""A block ends where it has as much of either."""
_HEAD_BYTES = 1 << 16
"""Of the file's beginning and end, as much as is looked at."""
_ESTIMATED = ("aac", "amr", "ogg")
"""FFmpeg's kinds whose length it makes out by what is there."""
_COARSE_S = 1.0
"""A promise is kept if no more lacks: some count what encoders put before and after."""


def decode_blocks(
    file: BinaryIO, sample_rate: int, limits: DecodeLimits
) -> Iterator[tuple[Samples, SourceInfo]]:
    """Mono samples [S] at ``sample_rate`` hertz, some seconds at a time, and what it is so far.

    ``limits.max_seconds`` holds for all of it, and for the promise that its header makes. A file
    that ends in the middle, or cannot be read on, is heard so far, and the last source's
    ``warnings`` say so.

    Raises:
        AudioError: as ``decode``, before the first block; AudioTooLong or AudioTooLarge later too.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyAudio("The file is empty. Send one with sound in it.")
    container = recognize(head)
    file.seek(max(0, size - _HEAD_BYTES))
    tail = file.read()
    file.seek(0)

    losses = Losses()
    blocks = _up_to_damage(read_with_ffmpeg(file, container.demuxer, losses), limits, losses)
    source = SourceInfo(0.0, 0, 0, container.name)
    for run in _runs(blocks):
        if not source.channels:
            source = replace(source, sample_rate=run.rate, channels=run.count)
        before_s, samples = source.duration_s, 0
        resampler = StreamResampler(run.rate, sample_rate)
        for block in run.blocks:
            samples += block.shape[1]
            promised = _promise(losses, container.demuxer)
            source = replace(source, duration_s=before_s + samples / run.rate)
            if max(source.duration_s, promised) > limits.max_seconds + _COARSE_S:
                raise AudioTooLong(
                    f"The recording is longer than {limits.max_seconds:g} s. Send a part."
                )
            yield np.clip(resampler(mix(block)), -1.0, 1.0), source
        yield np.clip(resampler.rest(), -1.0, 1.0), source
    if not source.channels:
        raise EmptyAudio("There are no samples in the file. Send one with sound in it.")
    heard, promised = source.duration_s, _promise(losses, container.demuxer)
    if container.demuxer == "wav":
        promised = max(promised, heard / (1 - wav_missing(head, size)))
    if heard + losses.seconds + _COARSE_S < promised:
        losses.notes.append(
            f"The file ends at {heard:.0f} s of {promised:.0f} s: the rest is not heard."
        )
    if container.demuxer == "ogg" and not marks_end(tail):
        losses.notes.append(NO_END)
    if losses.seconds:
        losses.notes.insert(0, lost_note(losses.seconds))
    yield np.empty(0, np.float32), replace(source, warnings=tuple(losses.notes))


def _promise(losses: Losses, demuxer: str) -> float:
    """How long the file says that it is, in seconds; 0 if it says nothing."""
    return 0.0 if demuxer in _ESTIMATED else losses.promised_s or 0.0


def _up_to_damage(blocks: Iterator[Block], limits: DecodeLimits, losses: Losses) -> Iterator[Block]:
    """Those that can be read; CorruptAudio if that is none."""
    heard = 0.0
    try:
        for rate, samples in blocks:
            check(rate, samples, limits)
            yield rate, samples
            heard += len(samples) / rate
    except CorruptAudio:
        if not heard:
            raise
        losses.notes.append(f"It cannot be read beyond {heard:.0f} s: what follows is not heard.")
        losses.promised_s = None


@dataclass(frozen=True)
class _Run:
    """Blocks that follow each other at one rate and with as many channels."""

    rate: int
    count: int
    """Channels."""
    blocks: Iterator[Samples]
    """[C, S] each."""


def _runs(blocks: Iterator[Block]) -> Iterator[_Run]:
    """The frames of a decoder, put together."""
    for (rate, count), same in groupby(blocks, lambda block: (block[0], block[1].shape[1])):
        yield _Run(rate, count, _gather((samples for _, samples in same), rate))


def _gather(frames: Iterator[Samples], rate: int) -> Iterator[Samples]:
    """[S, C] each -> [C, S], of ``BLOCK_S`` or ``BLOCK_BYTES``."""
    held: list[Samples] = []
    samples = size = 0
    for frame in frames:
        held.append(frame)
        samples += len(frame)
        size += frame.nbytes
        if samples >= BLOCK_S * rate or size >= BLOCK_BYTES:
            yield _joined(held)
            held, samples, size = [], 0, 0
    if samples:
        yield _joined(held)


def _joined(frames: list[Samples]) -> Samples:
    return np.ascontiguousarray(np.concatenate(frames).T).clip(-1.0, 1.0)
