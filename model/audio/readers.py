"""Files to blocks of samples, through libsndfile or FFmpeg, without letting go of their errors.

Blocks are small and handed out one by one, so that the caller can stop a file that decodes to
more than it should. libsndfile reads what it does best, PCM and FLAC: its MP3 decoder writes to
stderr, and its Vorbis decoder dies of a forged code book. S samples, C channels.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Generator
from functools import cache

import av
import av.error
import numpy as np
import soundfile
from numpy.typing import NDArray

from model.errors import AudioError, AudioTooLarge, CorruptAudio, UnsupportedFormat

Samples = NDArray[np.float32]
Block = tuple[int, Samples]
"""Sampling rate in hertz and samples [S, C], full scale at 1."""

BLOCK_SAMPLES = 1 << 18
"""Samples of all channels in one block of libsndfile's: 1 MiB."""

MAX_ALLOCATION = 32 << 20
"""Bytes: enough for the index of a few hours of sound."""

CODECS = (
    "aac,ac3,alac,amrnb,amrwb,eac3,flac,mp1float,mp2float,mp3float,opus,vorbis,"
    "pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,"
    "pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,wmalossless,wmapro,wmav1,wmav2"
)
"""FFmpeg's decoders that an upload may reach: no video, nothing exotic."""

_UNKNOWN_LENGTH = np.iinfo(np.int64).max
"""libsndfile's count of frames for a FLAC file that does not tell it."""


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """Reads on without the seek that soundfile adds to each read.

    That seek fails on a FLAC file of unknown length, which is what an encoder writes to a pipe.
    """

    def seekable(self) -> bool:
        return False


_LIBSNDFILE_ERRORS: dict[int, type[AudioError]] = {
    1: UnsupportedFormat,  # unrecognised format
    4: UnsupportedFormat,  # unsupported encoding
    18: UnsupportedFormat,  # unimplemented format
    33: AudioTooLarge,  # more than 1024 channels
}


def read_with_libsndfile(data: bytes) -> Generator[Block]:
    """Decode WAV, AIFF or FLAC block by block.

    Raises:
        UnsupportedFormat: a codec that libsndfile does not know.
        AudioTooLarge: more channels than libsndfile takes.
        CorruptAudio: what libsndfile cannot read, or fewer samples than the header counts.
    """
    try:
        with _Forward(io.BytesIO(data)) as file:
            step = max(1, BLOCK_SAMPLES // file.channels)
            left = file.frames
            # To ask for no more than is left keeps tags after the last FLAC frame out of sight.
            while left and len(block := file.read(min(step, left), "float32", always_2d=True)):
                left -= len(block)
                yield file.samplerate, block
            if left and file.frames != _UNKNOWN_LENGTH:
                raise CorruptAudio(
                    f"The file breaks off {left} samples before the end that its header tells. "
                    "Send the whole file."
                )
    except soundfile.LibsndfileError as error:
        kind = _LIBSNDFILE_ERRORS.get(error.code, CorruptAudio)
        raise kind(
            f"The file cannot be decoded: {error.error_string} Send it again, or as WAV or FLAC."
        ) from error


def read_with_ffmpeg(data: bytes, demuxer: str) -> Generator[Block]:
    """Decode the best sound track of a file of FFmpeg's kind ``demuxer``, frame by frame.

    FFmpeg is given the bytes, the one demuxer and no protocol: it can open nothing else.

    Raises:
        UnsupportedFormat: no sound track, or a codec that is not in ``CODECS``.
        CorruptAudio: data that FFmpeg finds invalid, at the start or in mid stream.
    """
    options = {"protocol_whitelist": "", "codec_whitelist": CODECS, "max_streams": "16"}
    _cap_ffmpeg_allocations()
    try:
        with av.open(
            io.BytesIO(data),
            mode="r",
            format=demuxer,
            container_options=options,
            metadata_errors="replace",
        ) as container:
            stream = container.streams.best("audio")
            if not isinstance(stream, av.AudioStream):
                raise UnsupportedFormat("The file has no sound track. Send one that has.")
            if stream.codec_context is None or stream.codec_context.name not in CODECS.split(","):
                raise UnsupportedFormat(
                    "The sound track's codec cannot be decoded. Send AAC, Opus, MP3, FLAC or WAV."
                )
            for frame in container.decode(stream):
                yield frame.sample_rate, _to_float(frame)
    except av.FFmpegError as error:
        raise CorruptAudio(
            f"The file is damaged or cut short: {error.strerror}. Send it again, or as WAV or FLAC."
        ) from error


@cache
def _cap_ffmpeg_allocations() -> None:
    """Let FFmpeg refuse, in this process, any one allocation above ``MAX_ALLOCATION`` bytes.

    The table of samples in a forged MP4 of a few hundred bytes takes gigabytes otherwise. PyAV
    does not expose the call, but its modules link to the library that has it; where the
    platform's loader does not look through them (Windows), there is no cap.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(av.error.__file__).av_max_alloc(ctypes.c_size_t(MAX_ALLOCATION))


def _to_float(frame: av.AudioFrame) -> Samples:
    """Samples [S, C] of a frame in any of FFmpeg's sample formats."""
    array = frame.to_ndarray()  # planar [C, S], else packed [1, S * C]
    planar = frame.format.is_planar
    samples = array.T if planar else array.reshape(-1, frame.layout.nb_channels)
    with np.errstate(over="ignore", invalid="ignore"):  # doubles beyond floats become infinite
        floats: Samples = samples.astype(np.float32, copy=False)
    if frame.format.name in ("u8", "u8p"):
        return floats / np.float32(128) - np.float32(1)
    if samples.dtype.kind == "i":
        return floats / np.float32(1 << 8 * samples.dtype.itemsize - 1)
    return floats
