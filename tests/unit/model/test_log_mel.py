"""LogMel: one frame per hop, blind to padding, and nothing in the checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.encoders.log_mel import LogMel

LENGTHS = (1, 49, 50, 51, 99, 100, 777, 1600)
Pad = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]


@pytest.fixture
def log_mel(model: CaptionerModel) -> LogMel:
    return model.encoder.front_end


@pytest.mark.parametrize("length", LENGTHS)
def test_frame_counts_are_the_frames_that_come(log_mel: LogMel, length: int) -> None:
    [count] = log_mel.frame_counts(torch.tensor([length])).tolist()
    assert log_mel(torch.rand(1, length)).shape == (1, count, log_mel.mels)
    assert count == 1 + length // log_mel.hop


def test_padding_changes_no_frame(log_mel: LogMel, sound: Callable[..., Tensor], pad: Pad) -> None:
    clips = [sound(length) for length in LENGTHS]
    samples, lengths = pad(clips)
    batch = log_mel(samples)
    for row, (clip, count) in enumerate(
        zip(clips, log_mel.frame_counts(lengths).tolist(), strict=True)
    ):
        torch.testing.assert_close(batch[row, :count], log_mel(clip[None])[0], rtol=0, atol=1e-4)


def test_gain_shifts_the_logarithm(log_mel: LogMel) -> None:
    samples = torch.rand(1, 2000) - 0.5
    shift = log_mel(samples) - log_mel(samples / 4)
    torch.testing.assert_close(shift, torch.full_like(shift, 2 * math.log(4)), rtol=0, atol=2e-2)


@pytest.mark.parametrize("hertz", [300, 1000, 2500])
def test_a_tone_lands_in_its_band(log_mel: LogMel, hertz: int) -> None:
    times = torch.arange(4000) / log_mel.sample_rate
    loudest = log_mel(torch.sin(2 * math.pi * hertz * times)[None])[0, 20:60].mean(0).argmax()
    # Slaney's mel scale: linear to 1 kHz, logarithmic above; bands centred on equal steps.
    mel = hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)
    step = (15 + 27 * math.log(4) / math.log(6.4)) / (log_mel.mels + 1)
    assert abs(mel / step - 1 - loudest) < 0.6


def test_it_has_no_state_and_keeps_its_precision(log_mel: LogMel) -> None:
    samples = torch.rand(1, 1000)
    before = log_mel(samples)
    half = log_mel.to(torch.bfloat16)
    assert not half.state_dict()
    assert torch.equal(half(samples), before)
    assert half(samples.bfloat16()).dtype == torch.float32
