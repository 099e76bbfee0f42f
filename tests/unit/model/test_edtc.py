"""EDTC's adapter: FUSER, and TRANSLATOR against a loop that spells the paper out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import EdtcAdapter
from model.adapters.fuser import Fuser
from model.adapters.translator import Translator
from model.types import Encoded

WIDTH, HEADS, FRAMES = 12, 3, 8
STREAMS = (10, 12, 7)
SIZES: dict[str, Any] = {"encoder_layers": 2, "decoder_layers": 2, "kernel": 5}


def lively(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for name, parameter in module.named_parameters():
        nn.init.normal_(parameter, std=0.5 if name.endswith("weight") else 0.3)
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return module.eval()


@pytest.fixture
def translator() -> Translator:
    translator = lively(Translator(width=WIDTH, heads=HEADS, **SIZES))
    assert isinstance(translator, Translator)
    return translator


def make(**changed: Any) -> EdtcAdapter:
    how: dict[str, Any] = {
        "inputs": sum(STREAMS), "width": WIDTH, "streams": STREAMS, "window": FRAMES,
        "heads": HEADS, "fuser_layers": 2, "translator": SIZES,
    }  # fmt: skip
    adapter = lively(EdtcAdapter(**how | changed))
    assert isinstance(adapter, EdtcAdapter)
    return adapter


ROADS = {
    "both": {},
    "FUSER alone": {"translator": None},
    "TRANSLATOR alone": {"fuser_layers": None},
    "a linear map": {"fuser_layers": None, "translator": None},
}


@pytest.fixture(params=ROADS)
def adapter(request: pytest.FixtureRequest) -> EdtcAdapter:
    return make(**ROADS[request.param])


def encoded(*lengths: int) -> Encoded:
    generator = torch.Generator().manual_seed(3)
    frames = torch.randn(len(lengths), max(lengths), sum(STREAMS), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Encoded(frames, mask)


# TRANSLATOR --------------------------------------------------------------------------------------


def attend(layer: Any, query: Tensor, frames: Tensor) -> Tensor:
    """GAB's attention of one frame [D] to all of them [T, D], head by head."""
    keys, values = layer.keys_values(frames).chunk(2, dim=1)
    asked = layer.query(query)
    each = []
    for q, k, v in zip(
        asked.chunk(HEADS), keys.chunk(HEADS, dim=1), values.chunk(HEADS, dim=1), strict=True
    ):
        each.append(torch.softmax(k @ q / (WIDTH / HEADS) ** 0.5, dim=0) @ v)
    return layer.out(torch.cat(each))


def spelled_out(layer: Any, frames: Tensor, source: Tensor | None, h: Tensor) -> Tensor:
    """One layer, step by step: [T, D] -> [T, D], hidden states [T, D] below them."""
    seen = F.pad(frames, (0, 0, 2, 2))
    told, states = [], []
    for t in range(len(frames)):
        c = (layer.conv.weight[:, 0] * seen[t : t + 5].t()).sum(1) + layer.conv.bias
        u = layer.past_norm(c + layer.past(h))
        h = layer.attended_norm(u + attend(layer, u, frames))
        if source is not None:
            h = layer.source_norm(h + layer.source(source[t]))
        states.append(h)
        told.append(layer.feed_forward(h))
    return torch.stack([torch.stack(told), torch.stack(states)])


def test_the_recurrence_is_the_loop(translator: Translator) -> None:
    frames = torch.randn(3, FRAMES, WIDTH)
    found, last = translator(frames)
    for number, clip in enumerate(frames):
        heard, h = clip, torch.zeros(WIDTH)
        for layer in translator.encoder:
            heard, states = spelled_out(layer, heard, None, torch.zeros(WIDTH))
            h = states[-1]
        said = clip
        for layer in translator.decoder:
            said, states = spelled_out(layer, said, heard, h)
        torch.testing.assert_close(found[number], said, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(last[number], states[-1], rtol=1e-4, atol=1e-5)


@torch.enable_grad()
def test_all_that_it_has_learns(translator: Translator) -> None:
    frames, last = translator(torch.randn(2, FRAMES, WIDTH))
    (frames.square().sum() + last.square().sum()).backward()
    for name, parameter in translator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# FUSER -------------------------------------------------------------------------------------------


def test_streams_change_places_with_their_weights() -> None:
    fuser = Fuser(streams=3, width=WIDTH, layers=2, heads=HEADS, frames=FRAMES)
    lively(fuser)
    streams = [torch.randn(2, FRAMES, WIDTH) for _ in range(3)]
    expected = fuser(streams)
    order = [2, 0, 1]
    for layer in (fuser.begin, *fuser.layers):
        for name in ("attend", "convolve", "norms"):
            if isinstance(own := getattr(layer, name, None), nn.ModuleList):
                setattr(layer, name, nn.ModuleList([own[place] for place in order]))
        parts = layer.join.conv.weight.split(WIDTH, dim=1)
        layer.join.conv.weight = nn.Parameter(torch.cat([parts[place] for place in order], dim=1))
    torch.testing.assert_close(fuser([streams[place] for place in order]), expected)


def test_every_stream_is_heard() -> None:
    fuser = Fuser(streams=3, width=WIDTH, layers=2, heads=HEADS, frames=FRAMES)
    lively(fuser)
    streams = [torch.randn(2, FRAMES, WIDTH) for _ in range(3)]
    before = fuser(streams)
    for place in range(3):
        changed = [*streams]
        changed[place] = changed[place] + 1
        assert (fuser(changed) - before).abs().max() > 1e-2


# Both --------------------------------------------------------------------------------------------


def test_padding_and_neighbours_change_nothing(adapter: EdtcAdapter) -> None:
    """Of one window, of two, and on the edge between them."""
    lengths = (3, 8, 9, 17, 1)
    batch = encoded(*lengths)
    adapted, whole = adapter.adapt(batch)
    assert adapted.frames.shape == (5, 17, WIDTH)
    for number, one in enumerate(batch.split()):
        alone, alone_whole = adapter.adapt(one)
        torch.testing.assert_close(
            adapted.frames[number, : lengths[number]], alone.frames[0], rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(whole[number], alone_whole[0], rtol=1e-4, atol=1e-4)


def test_garbage_on_the_padding_is_not_heard(adapter: EdtcAdapter) -> None:
    batch = encoded(3, 11)
    noisy = Encoded(torch.where(batch.mask[..., None], batch.frames, 99.0), batch.mask)
    before, after = adapter(batch), adapter(noisy)
    assert torch.equal(before.frames[batch.mask], after.frames[batch.mask])


def test_a_window_is_heard_by_itself(adapter: EdtcAdapter) -> None:
    long = encoded(2 * FRAMES)
    first = Encoded(long.frames[:, :FRAMES], long.mask[:, :FRAMES])
    torch.testing.assert_close(
        adapter(long).frames[:, :FRAMES], adapter(first).frames, rtol=1e-4, atol=1e-4
    )


def test_streams_that_are_not_the_encoders() -> None:
    with pytest.raises(ValueError, match="29 wide, the encoder's 30"):
        make(inputs=30)
    with pytest.raises(ValueError, match="two streams"):
        make(streams=(29,))
