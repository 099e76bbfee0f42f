"""Samples to audio files, as bytes.

Shapes: S samples, C channels.
"""

from __future__ import annotations

import io

import av
import numpy as np
import soundfile
from numpy.typing import NDArray


def by_soundfile(
    samples: NDArray[np.floating], rate: int, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """[S] or [S, C] in [-1, 1] by libsndfile; ``kind`` and ``subtype`` are its names."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def by_ffmpeg(
    samples: NDArray[np.floating],
    rate: int,
    kind: str,
    codec: str,
    bit_rate: int = 128_000,
    **options: str,
) -> bytes:
    """[S, C] in [-1, 1] by FFmpeg; ``kind`` and ``codec`` are its, ``options`` the muxer's."""
    file = io.BytesIO()
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(file, "w", format=kind, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, bit_rate=bit_rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", layout)
        frame.sample_rate, frame.pts = rate, 0
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()
