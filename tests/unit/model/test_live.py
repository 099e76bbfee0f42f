"""Sound that comes in blocks is resampled as if it were one clip."""

from __future__ import annotations

import numpy as np
import pytest

from model.audio.live import LiveResampler, from_pcm
from model.audio.resampling import resample
from model.errors import CorruptAudio


@pytest.mark.parametrize(("source", "target"), [(44_100, 16_000), (8000, 16_000), (16_000, 16_000)])
@pytest.mark.parametrize("block", [1, 77, 4096])
def test_blocks_are_resampled_as_one(source: int, target: int, block: int) -> None:
    times = np.arange(source // 4) / source
    sound = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    live = LiveResampler(source, target)
    parts = [live(part[:, None]) for part in np.split(sound, range(block, len(sound), block))]
    found = np.concatenate([*parts, live.end()])
    whole = resample(sound, source, target)
    assert abs(len(found) - len(whole)) <= 1
    length = min(len(found), len(whole))
    inner = slice(target // 50, length - target // 50)
    assert np.abs(found[:length] - whole[:length])[inner].max() < 1e-3


def test_channels_are_averaged_and_clipped() -> None:
    block = np.array([[0.5, 0.1], [3.0, 1.0], [-3.0, -1.0]], np.float32)
    assert LiveResampler(8000, 8000)(block).tolist() == pytest.approx([0.3, 1.0, -1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(CorruptAudio, match="NaN"):
        LiveResampler(8000, 8000)(np.array([[value]], np.float32))


def test_pcm_is_interleaved_and_little_endian() -> None:
    shorts = np.array([16_384, -32_768, 0, 8192], "<i2").tobytes()
    assert from_pcm(shorts, "s16le", 2).tolist() == [[0.5, -1.0], [0.0, 0.25]]
    floats = np.array([0.5, -1.5], "<f4").tobytes()
    assert from_pcm(floats, "f32le", 1).tolist() == [[0.5], [-1.5]]


@pytest.mark.parametrize(
    ("size", "kind", "channels"), [(1, "s16le", 1), (2, "s16le", 2), (6, "f32le", 1)]
)
def test_part_of_a_sample_is_refused(size: int, kind: str, channels: int) -> None:
    with pytest.raises(CorruptAudio, match="whole"):
        from_pcm(bytes(size), kind, channels)
