"""MobileNet and EfficientAT as encoders: what must hold of any, at random weights."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model.contracts import Encoder
from model.encoders import EfficientAt, MobileNet
from model.encoders.mobilenet import HOP, PATCH, POOL, silence_before
from tests.support.networks import tagger


@pytest.fixture(scope="module", params=[MobileNet, EfficientAt])
def encoder(request: pytest.FixtureRequest) -> Iterator[Encoder]:
    with torch.no_grad():
        if request.param is MobileNet:
            yield random_mobilenet()
        else:
            encoder = EfficientAt().eval()
            encoder.network = tagger()
            yield encoder


@torch.no_grad()
def random_mobilenet() -> MobileNet:
    """Its trunk's output is not nearly zero."""
    torch.manual_seed(0)
    encoder = MobileNet().eval()
    for layer in encoder.trunk.convolutions:
        assert isinstance(layer, torch.nn.Conv2d)
        fan = layer.weight[0].numel()
        layer.weight.normal_(0, (2 / fan) ** 0.5)
    return encoder


def clip(encoder: Encoder, seconds: float, seed: int = 0) -> Tensor:
    """[S]: noise whose level changes."""
    generator = torch.Generator().manual_seed(seed)
    size = round(seconds * encoder.sample_rate)
    rise = torch.linspace(0.05, 0.5, size) if seed % 2 else torch.linspace(0.5, 0.05, size)
    return torch.randn(size, generator=generator) * rise * 0.3


SECONDS = (0.1, 0.32, 0.41, 0.43, 0.96, 1.0, 2.05, 2.67)
FRAMES = (1, 1, 1, 2, 3, 3, 7, 9)
"""0.1 s of sound make a last frame."""


def test_padding_and_neighbours_change_nothing(encoder: Encoder) -> None:
    clips = [clip(encoder, seconds, seed) for seed, seconds in enumerate(SECONDS)]
    lengths = torch.tensor([len(one) for one in clips])
    together = encoder(pad_sequence(clips, batch_first=True), lengths)
    assert together.mask.sum(dim=1).tolist() == [*FRAMES]
    assert not together.frames[~together.mask].any()
    for row, one in zip(together.split(), clips, strict=True):
        alone = encoder(one[None], torch.tensor([len(one)]))
        assert alone.frames.std() > 0.1
        torch.testing.assert_close(row.frames, alone.frames, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(encoder: Encoder, dtype: torch.dtype) -> None:
    """The front end stays in float32, since few digits make much of a logarithm."""
    clips = [clip(encoder, seconds) for seconds in (0.5, 2.6)]
    halved = deepcopy(encoder)
    cast(torch.nn.Module, halved).to(dtype)
    for found, wanted in zip(halved.encode(clips), encoder.encode(clips), strict=True):
        assert found.dtype == dtype
        off = (found.float() - wanted).norm() / wanted.norm()
        assert off < {torch.bfloat16: 0.05, torch.float16: 0.01}[dtype]


def test_encode_is_forward_without_padding(encoder: Encoder) -> None:
    clips = [clip(encoder, seconds) for seconds in (0.5, 1.6)]
    lengths = torch.tensor([len(one) for one in clips])
    expected = encoder(pad_sequence(clips, batch_first=True), lengths).split()
    for frames, row in zip(encoder.encode(clips), expected, strict=True):
        torch.testing.assert_close(frames, row.frames[0], rtol=1e-3, atol=1e-4)


def test_frames_lie_where_the_sound_does(encoder: Encoder) -> None:
    """What is far from a change hears nothing of it: patches and windows are short."""
    sound = clip(encoder, 6.4, seed=1)  # loudest at its end, so that its level stays
    changed = sound.clone()
    changed[: encoder.sample_rate // 4] = 0
    with_it, without = encoder.encode([sound, changed])
    apart = (with_it - without).abs().amax(dim=1)
    assert len(apart) == round(6.4 / encoder.frame_s) == 20
    assert apart[-6:].max() < 0.02 * apart[0]


@pytest.mark.parametrize("gain_db", [-40, 20])
def test_level_and_offset_are_not_heard(encoder: Encoder, gain_db: float) -> None:
    sound = clip(encoder, 1.3)
    expected, found = encoder.encode([sound, sound * 10 ** (gain_db / 20) + 0.1])
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=2e-3)


def test_a_clip_shorter_than_the_shortest_and_silence_give_frames(encoder: Encoder) -> None:
    shortest = torch.zeros(encoder.min_samples)
    for frames in encoder.encode([shortest, torch.zeros(encoder.sample_rate)]):
        assert frames.shape[1] == encoder.width
        assert frames.isfinite().all()


@pytest.mark.parametrize("hops", [1, 10, 32, 75, 96])
def test_a_moved_clip_is_cut_into_the_same_patches(hops: int) -> None:
    """Away from its ends its frames are the same, moved by as many as lie nearest."""
    encoder = random_mobilenet()
    sound = clip(encoder, 6.4)
    moved = torch.cat([torch.zeros(hops * HOP), sound])
    (before,), (later,) = (silence_before(one[None]).tolist() for one in (sound, moved))
    assert (before - later) % PATCH == hops % PATCH
    with torch.no_grad():
        own, found = encoder.encode([sound])[0][7:13], encoder.encode([moved])[0]
    apart = [float((found[7 + s : 13 + s] - own).abs().max()) for s in range(5)]
    nearest = int(np.argmin(apart))
    assert apart[nearest] < 0.05 * sorted(apart)[1]
    assert abs(nearest * POOL - hops) <= POOL


def test_silence_has_a_grid_too() -> None:
    assert 0 <= int(silence_before(torch.zeros(1, 4 * HOP))) < PATCH
