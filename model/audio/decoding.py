"""Bytes to a mono waveform at the rate the checkpoint works at.

The file is named by its first bytes and checked for completeness (``containers``), decoded block by
block under limits (``readers``), mixed to mono and resampled (``resampling``).
Nothing a header says is believed without being counted. S samples, C channels.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from model.audio.containers import identify
from model.audio.readers import Block, Samples, read_with_ffmpeg, read_with_libsndfile
from model.audio.resampling import resample
from model.errors import AudioTooLarge, AudioTooLong, CorruptAudio, EmptyAudio
from model.types import SourceInfo, Waveform


@dataclass(frozen=True)
class DecodeLimits:
    """Where decoding stops; each is counted while decoding, never read from a header."""

    max_seconds: float = 60.0
    max_channels: int = 32
    max_sample_rate: int = 384_000
    """Hertz."""
    max_decoded_bytes: int = 256 << 20
    """All channels as 32-bit samples; 60 s of 48 kHz stereo are 22 MiB."""


def decode(data: bytes, sample_rate: int, limits: DecodeLimits = DecodeLimits()) -> Waveform:
    """Turn a file into a mono clip at ``sample_rate`` hertz.

    WAV, AIFF, FLAC, Ogg (Vorbis, Opus, FLAC), MP3, AAC, MP4/M4A/MOV/3GP, WebM/Matroska, CAF and
    WMA. Channels are averaged. Samples beyond full scale (float files, lossy codecs, overshoot of
    the resampling filter) are clipped to [-1, 1], as a player would. At the rate already, samples
    within it are kept bit for bit. Thread-safe; holds a few times the decoded mono clip.

    Raises:
        EmptyAudio: no bytes, or no samples.
        UnsupportedFormat: not audio, no sound track, or a codec that is not read.
        CorruptAudio: cut short, damaged, or samples that are not finite. WAV and FLAC written to a
            pipe, with no length in the header, are whole.
        AudioTooLong: more seconds than ``limits`` allow.
        AudioTooLarge: more channels, rate or decoded bytes than ``limits`` allow.
    """
    if not data:
        raise EmptyAudio("The file is empty. Send one with sound in it.")
    container, stream = identify(data)
    blocks = (
        read_with_ffmpeg(stream, container.demuxer)
        if container.demuxer
        else read_with_libsndfile(stream)
    )
    with closing(blocks):
        mono, rate, channels = _mix(blocks, limits)
    samples = resample(torch.from_numpy(mono), rate, sample_rate).clamp_(-1.0, 1.0)
    source = SourceInfo(len(mono) / rate, rate, channels, container.name)
    return Waveform(samples, sample_rate, source)


def _mix(blocks: Generator[Block], limits: DecodeLimits) -> tuple[Samples, int, int]:
    """Collect blocks into mono samples [S], their rate and the channels of the first block."""
    parts: list[Samples] = []
    rate = channels = length = size = 0
    for block_rate, block in blocks:
        rate, channels = rate or block_rate, channels or block.shape[1]
        length += block.shape[0]
        size += block.nbytes
        _check(block_rate, block, limits)
        if block_rate != rate:
            raise CorruptAudio(
                f"The sampling rate changes from {rate} to {block_rate} Hz in mid stream. "
                "Convert the file to one rate."
            )
        if length > limits.max_seconds * rate:
            raise AudioTooLong(f"The clip is longer than {limits.max_seconds:g} s. Send a part.")
        if size > limits.max_decoded_bytes:
            raise AudioTooLarge(
                f"The clip decodes to more than {limits.max_decoded_bytes} bytes. "
                "Send fewer channels, a lower rate or a part."
            )
        # Channel by channel: to add up the few of each sample takes NumPy ten times as long.
        parts.append(np.ascontiguousarray(block.T).clip(-1.0, 1.0).mean(axis=0))
    if not length:
        raise EmptyAudio("There are no samples in the file. Send one with sound in it.")
    return np.concatenate(parts), rate, channels


def _check(rate: int, block: Samples, limits: DecodeLimits) -> None:
    """Hold one block against the limits that need no counting."""
    if rate <= 0:
        raise CorruptAudio(f"The sampling rate is {rate} Hz. Send a file with a valid header.")
    if rate > limits.max_sample_rate:
        raise AudioTooLarge(
            f"The sampling rate of {rate} Hz is above {limits.max_sample_rate} Hz. Resample it."
        )
    if block.shape[1] > limits.max_channels:
        raise AudioTooLarge(
            f"There are {block.shape[1]} channels; at most {limits.max_channels} are taken. "
            "Mix them down."
        )
    if not np.isfinite(block).all():
        raise CorruptAudio("There are samples that are NaN or infinite. Export the file again.")
