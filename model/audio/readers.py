"""Files to blocks of samples, through libsndfile or FFmpeg, and what they could not make out.

Blocks are small and handed out one by one, so that the caller can stop a file that decodes to
more than it should. libsndfile reads what it does best, PCM: its MP3 decoder writes to stderr, its
Vorbis decoder dies of a forged code book, and its FLAC decoder ends at the first bad frame.
S samples, C channels.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import Any, BinaryIO

import av
import av.error
import numpy as np
import soundfile
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

from model.errors import AudioError, AudioTooLarge, CorruptAudio, UnsupportedFormat

Samples = NDArray[np.float32]
Block = tuple[int, Samples]
"""Sampling rate in hertz and samples [S, C], full scale at 1."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels in one block of libsndfile's: 1 MiB."""

RUN_S = 0.5
"""Of FFmpeg's frames, in one block."""

MAX_ALLOCATION = 32 << 20
"""Bytes: enough for the index of a few hours of sound."""

CLOCKED = ("asf", "matroska", "mov")
"""FFmpeg's kinds in which every packet has its time from the file."""

LONGEST_GAP_S, OPUS_GAP_S = 0.05, 0.45
"""Jumps of the clock up to here mean nothing: it is coarse, and Opus need not store silence."""

CODECS = (
    "aac,ac3,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,eac3,flac,g722,g726,gsm_ms,mp1float,mp2,mp2float,"
    "mp3float,opus,vorbis,"
    "pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,"
    "pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,wmalossless,wmapro,wmav1,wmav2"
)
"""FFmpeg's decoders that an upload may reach: no video, nothing exotic."""

SPEECH = {"amrnb": 8000, "amrwb": 16_000}
"""Codecs of 20 ms a packet, and their rates in hertz."""
MAX_SILENCE_BYTES = 7
"""Of a packet that only says that nobody speaks, which FFmpeg's decoders of speech do not take."""


@dataclass
class Losses:
    """What could not be heard; readers add to it."""

    seconds: float = 0.0
    """Of sound that could not be decoded."""
    notes: list[str] = field(default_factory=list)
    """What else whoever sent the file should know, a sentence each."""
    promised_s: float | None = None
    """How long FFmpeg takes the file to be, by its headers or its size."""


_LIBSNDFILE_ERRORS: dict[int, type[AudioError]] = {
    1: UnsupportedFormat,  # unrecognised format
    4: UnsupportedFormat,  # unsupported encoding
    18: UnsupportedFormat,  # unimplemented format
    33: AudioTooLarge,  # more than 1024 channels
}


def read_with_libsndfile(data: bytes, losses: Losses) -> Generator[Block]:
    """Decode WAV or AIFF block by block.

    Raises:
        UnsupportedFormat: a codec that libsndfile does not know.
        AudioTooLarge: more channels than libsndfile takes.
        CorruptAudio: what libsndfile cannot read.
    """
    try:
        with soundfile.SoundFile(_Seekable(data)) as file:
            step = max(1, BLOCK_SAMPLES // file.channels)
            left = file.frames
            # libsndfile's own conversion takes ten times as long.
            number = "int16" if file.subtype == "PCM_16" else "float32"
            while left and len(block := file.read(min(step, left), number, always_2d=True)):
                left -= len(block)
                if number == "int16":
                    block = np.multiply(block, np.float32(2**-15), dtype=np.float32)
                yield file.samplerate, block
            losses.seconds += left / file.samplerate
    except soundfile.LibsndfileError as error:
        kind = _LIBSNDFILE_ERRORS.get(error.code, CorruptAudio)
        raise kind(
            f"The file cannot be decoded: {error.error_string} Send it again, or as WAV or FLAC."
        ) from error


class _Seekable(io.BytesIO):
    """Stays where it is if it is told to go before the start, as forged sizes make libsndfile do.

    An error here would be written to stderr, which is the log, by what lies between.
    """

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        with contextlib.suppress(ValueError):
            super().seek(offset, whence)
        return self.tell()


def read_with_ffmpeg(file: BinaryIO, demuxer: str, losses: Losses) -> Generator[Block]:
    """Decode the best sound track of a file of FFmpeg's kind ``demuxer``, frame by frame.

    FFmpeg is given the file, the one demuxer and no protocol: it can open nothing else. A packet
    that cannot be decoded is passed over, and its length is a loss.

    Raises:
        UnsupportedFormat: no sound track, or a codec that is not in ``CODECS``.
        CorruptAudio: data that FFmpeg cannot open, or read on in.
    """
    options = {"protocol_whitelist": "", "codec_whitelist": CODECS}
    _cap_ffmpeg_allocations()
    try:
        with av.open(
            file,
            mode="r",
            format=demuxer,
            container_options=options,
            metadata_errors="replace",
        ) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise UnsupportedFormat("The file has no sound track. Send one that has.")
            codec = stream.codec_context and stream.codec_context.name
            if codec not in CODECS.split(","):
                raise UnsupportedFormat(
                    f"The sound track's codec ({codec or 'an unknown one'}) cannot be decoded. "
                    "Send AAC, Opus, MP3, FLAC or WAV."
                )
            if (tracks := len(container.streams.audio)) > 1:
                losses.notes.append(f"Of {tracks} sound tracks, one is heard.")
            losses.promised_s = _promised(container, stream)
            yield from _decode(container, stream, losses)
    except av.FFmpegError as error:
        raise CorruptAudio(
            f"The file is damaged or cut short: {error.strerror}. Send it again, or as WAV or FLAC."
        ) from error


def _promised(container: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    """In seconds."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def _decode(
    container: av.container.InputContainer, stream: av.AudioStream, losses: Losses
) -> Generator[Block]:
    """Every frame of the track; what is lost is counted, and so are jumps of its clock."""
    codec = stream.codec_context.name
    if codec == "flac":
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    longest = OPUS_GAP_S if codec == "opus" else LONGEST_GAP_S
    clocked = container.format.name.startswith(CLOCKED)
    heard = failed = Fraction()  # a sum of floats would lack a little of a whole file
    gaps = 0.0
    clock: float | None = None
    run: list[av.AudioFrame] = []  # a block each would cost more than to decode them
    held = 0
    try:
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError:  # which one depends on the decoder
                if codec in SPEECH and packet.size <= MAX_SILENCE_BYTES:
                    if run:
                        yield joined(run)
                    run, held = [], 0
                    yield SPEECH[codec], np.zeros((SPEECH[codec] // 50, 1), dtype=np.float32)
                    continue
                failed += (packet.duration or 0) * (packet.time_base or 0)
                continue
            for frame in decoded:
                if clocked and frame.time is not None:
                    if clock is not None and frame.time - clock > longest:
                        gaps += frame.time - clock
                    clock = frame.time + frame.samples / frame.sample_rate
                if run and (held >= RUN_S * frame.sample_rate or _kind(frame) != _kind(run[0])):
                    yield joined(run)
                    run, held = [], 0
                run.append(frame)
                held += frame.samples
                heard += Fraction(frame.samples, frame.sample_rate)
    except av.FFmpegError:
        if run:  # what could be read
            yield joined(run)
        raise
    if run:
        yield joined(run)
    if codec == "flac" and stream.duration and stream.time_base:
        failed = max(failed, stream.duration * stream.time_base - heard)
    losses.seconds += float(failed)
    if gaps > failed + longest:
        losses.notes.append(f"Nothing is stored for {gaps:.1f} s in between, and it is left out.")


@cache
def _cap_ffmpeg_allocations() -> None:
    """Let FFmpeg refuse, in this process, any one allocation above ``MAX_ALLOCATION`` bytes.

    The table of samples in a forged MP4 of a few hundred bytes takes gigabytes otherwise. PyAV
    does not expose the call, but its modules link to the library that has it; where the
    platform's loader does not look through them (Windows), there is no cap.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(av.error.__file__).av_max_alloc(ctypes.c_size_t(MAX_ALLOCATION))


_NUMPY_KINDS = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}
"""FFmpeg's sample formats, packed or planar."""


def _kind(frame: av.AudioFrame) -> tuple[int, str, int]:
    """What frames of one block have in common."""
    return frame.sample_rate, frame.format.name, frame.layout.nb_channels


def joined(frames: Sequence[av.AudioFrame]) -> Block:
    """One block of frames of one kind, in any of FFmpeg's sample formats."""
    rate, name, channels = _kind(frames[0])
    planar = frames[0].format.is_planar
    kind = np.dtype(_NUMPY_KINDS[name.removesuffix("p")])

    def plane(number: int) -> NDArray[Any]:
        # One by one: PyAV's own list of eight planes or more goes on with what lies behind the
        # eighth. A plane is padded.
        size = kind.itemsize * (1 if planar else channels)
        parts = [bytes(AudioPlane(each, number))[: each.samples * size] for each in frames]
        return np.frombuffer(b"".join(parts), kind)

    if planar:
        samples = np.stack([plane(number) for number in range(channels)]).T
    else:
        samples = plane(0).reshape(-1, channels)
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond floats become infinite
        floats: Samples = samples.astype(np.float32, copy=False)
    if kind == np.uint8:
        floats = floats / np.float32(128) - np.float32(1)
    elif kind.kind == "i":
        floats = floats / np.float32(1 << 8 * kind.itemsize - 1)
    return rate, floats
