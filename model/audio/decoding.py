"""Bytes to a mono waveform at the rate the checkpoint works at.

The file is named by its first bytes and its sound taken out (``containers``), decoded block by
block under limits (``readers``), mixed to mono (``mixing``) and resampled (``resampling``).
Nothing a header says is believed without being counted. S samples, C channels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from model.audio.containers import identify
from model.audio.mixing import mix
from model.audio.readers import Block, Losses, Samples, read_with_ffmpeg, read_with_libsndfile
from model.audio.resampling import resample
from model.audio.stream import Stream
from model.errors import AudioTooLarge, AudioTooLong, CorruptAudio, EmptyAudio
from model.types import SourceInfo, Waveform

MAX_LOST = 0.1
"""The share of a file's sound that may be missing or unreadable; with more, it is refused."""


@dataclass(frozen=True)
class DecodeLimits:
    """Where decoding stops; each is counted while decoding, never read from a header."""

    max_seconds: float = 60.0
    max_channels: int = 32
    max_sample_rate: int = 384_000
    """Hertz."""
    max_decoded_bytes: int = 256 << 20
    """All channels as 32-bit samples; 60 s of 48 kHz stereo are 22 MiB."""
    max_cpu_s: float = 8.0
    """Processor time; held to where decoding has a process of its own (``engine.decoders``)."""


Decode = Callable[[bytes, int, DecodeLimits], Waveform]
"""A file's bytes, the rate in hertz and the limits to a clip, as ``decode`` does it."""


def decode(data: bytes, sample_rate: int, limits: DecodeLimits = DecodeLimits()) -> Waveform:
    """Turn a file into a mono clip at ``sample_rate`` hertz, as ``decode_samples`` does."""
    import torch  # decode_samples must not wait for it

    samples, source = decode_samples(data, sample_rate, limits)
    return Waveform(torch.from_numpy(samples), sample_rate, source)


def decode_samples(
    data: bytes, sample_rate: int, limits: DecodeLimits
) -> tuple[Samples, SourceInfo]:
    """Turn a file into mono samples [S] at ``sample_rate`` hertz.

    WAV, AIFF, FLAC, Ogg (Vorbis, Opus, FLAC), MP3, AAC, AMR, MP4/M4A/MOV/3GP, WebM/Matroska, CAF
    and WMA. Channels are averaged, but for those that would cancel others. Samples beyond full
    scale (float files, lossy codecs, overshoot of the resampling filter) are clipped to [-1, 1], as
    a player would. At the rate already, samples within it are kept bit for bit. Parts of other
    rates, as in recordings put one behind the other, are resampled one by one.

    What is damaged or missing is left out and told of in the source's ``warnings``. Thread-safe;
    holds a few times the decoded clip.

    Raises:
        EmptyAudio: no bytes, or no samples.
        UnsupportedFormat: not audio, no sound track, or a codec that is not read.
        CorruptAudio: more than ``MAX_LOST`` is damaged or missing, or samples are not finite. WAV
            and FLAC written to a pipe, with no length in the header, are whole.
        AudioTooLong: more seconds than ``limits`` allow.
        AudioTooLarge: more channels, rate or decoded bytes than ``limits`` allow.
    """
    if not data:
        raise EmptyAudio("The file is empty. Send one with sound in it.")
    name, stream = identify(data)
    losses = Losses(notes=[*stream.notes])
    _bear(stream.missing)
    runs = _collect(_read(stream, losses), limits)
    heard = sum(run.seconds for run in runs)
    # Of what there was, the heard part is what neither lacks in the file nor failed to be decoded.
    lost = losses.seconds + (losses.seconds + heard) * stream.missing / (1 - stream.missing)
    if lost > 0:
        _bear(lost / (lost + heard))
        losses.notes.insert(0, lost_note(lost))
    if not runs:
        _bear(1.0 if stream.missing else 0.0)
        raise EmptyAudio("There are no samples in the file. Send one with sound in it.")
    parts = [resample(mix(run.channels()), run.rate, sample_rate) for run in runs]
    samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
    samples.clip(-1.0, 1.0, out=samples)
    first = runs[0]
    warnings = tuple(dict.fromkeys(losses.notes))
    return samples, SourceInfo(heard, first.rate, first.count, name, warnings)


def _read(stream: Stream, losses: Losses) -> Iterator[Block]:
    """The blocks of all parts."""
    for part in stream.parts:
        blocks = (
            read_with_ffmpeg(io.BytesIO(part), stream.demuxer, losses)
            if stream.demuxer
            else read_with_libsndfile(part, losses)
        )
        with closing(blocks):
            yield from blocks


def _bear(lost: float) -> None:
    """Raise CorruptAudio if too much is lost; ``lost`` is a share."""
    if lost > MAX_LOST:
        raise CorruptAudio(
            f"The file is cut short or damaged: {lost:.0%} of its sound are missing or cannot be "
            f"read, and more than {MAX_LOST:.0%} are not forgiven. Send the whole file again."
        )


def lost_note(seconds: float) -> str:
    """The note on sound that is not heard."""
    amount = f"{seconds:.2f} s" if seconds >= 0.01 else "Less than 0.01 s"
    return f"{amount} of the sound are damaged or missing."


@dataclass
class _Run:
    """Blocks that follow each other at one rate and with as many channels."""

    rate: int
    count: int
    """Channels."""
    blocks: list[Samples] = field(default_factory=list)
    """[C, S] each."""

    @property
    def seconds(self) -> float:
        """Length."""
        samples: int = sum(block.shape[1] for block in self.blocks)
        return samples / self.rate

    def channels(self) -> Samples:
        """[C, S]; the blocks are let go."""
        whole = self.blocks[0] if len(self.blocks) == 1 else np.concatenate(self.blocks, axis=1)
        self.blocks = []
        return whole


def _collect(blocks: Iterator[Block], limits: DecodeLimits) -> list[_Run]:
    """Read everything, within the limits."""
    runs: list[_Run] = []
    seconds, size = 0.0, 0
    for rate, block in blocks:
        length, count = block.shape
        check(rate, block, limits)
        seconds += length / rate
        size += block.nbytes
        if seconds > limits.max_seconds * (1 + 1e-12):  # a sum of floats
            raise AudioTooLong(f"The clip is longer than {limits.max_seconds:g} s. Send a part.")
        if size > limits.max_decoded_bytes:
            raise AudioTooLarge(
                f"The clip decodes to more than {limits.max_decoded_bytes} bytes. "
                "Send fewer channels, a lower rate or a part."
            )
        if not length:
            continue
        if not runs or (runs[-1].rate, runs[-1].count) != (rate, count):
            runs.append(_Run(rate, count))
        # Channel by channel: to add up the few of each sample takes NumPy ten times as long.
        runs[-1].blocks.append(np.ascontiguousarray(block.T).clip(-1.0, 1.0))
    return runs


def check(rate: int, block: Samples, limits: DecodeLimits) -> None:
    """Hold one block against the limits that need no counting.

    Raises CorruptAudio or AudioTooLarge.
    """
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
