"""The concentrated diff block: who attends to whom, against one masked layer over both clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    ConcentratedConfig,
    EventsConfig,
    MobileNetConfig,
    NoAdapterConfig,
)
from model.difference import Concentrated
from model.difference.concentrated import Layer
from model.types import Difference, Encoded

MakeEncoded = Callable[..., Encoded]
Sound = Callable[..., Tensor]
Pad = Callable[..., tuple[Tensor, Tensor]]
INPUTS, REFERENCES = (5, 9, 1, 7), (11, 3, 6, 1)
WIDTH, MEMORY = 16, 8


def block(*, concentrated: bool = True, layers: int = 2, bands: int = 0) -> Concentrated:
    torch.manual_seed(3)
    made = Concentrated(
        width=WIDTH, memory=MEMORY, layers=layers, heads=2, ffn=12, dropout=0.5,
        concentrated=concentrated, bands=bands,
    )  # fmt: skip
    return made.eval()


@pytest.fixture
def pair(make_encoded: MakeEncoded) -> tuple[Encoded, Encoded]:
    """Inputs and references of other lengths, with garbage on the padding."""
    return make_encoded(*INPUTS, seed=1), make_encoded(*REFERENCES, seed=2)


def masked_layer(layer: Layer, x: Tensor, allowed: Tensor) -> Tensor:
    """[N, M] of both clips, of whom each attends to those that ``allowed`` [N, N] says."""
    attention = layer.attention
    q, k, v = (
        (x @ each.weight.T + each.bias).view(len(x), attention.heads, -1).transpose(0, 1)
        for each in (attention.query, attention.key, attention.value)
    )
    scores = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).masked_fill(~allowed, -torch.inf)
    found = attention.out((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))
    x = layer.norm1(x + found)
    return layer.norm2(x + layer.fc2(F.relu(layer.fc1(x))))


@pytest.mark.parametrize("concentrated", [True, False])
def test_two_attentions_are_one_masked_layer_over_both_clips(
    pair: tuple[Encoded, Encoded], concentrated: bool
) -> None:
    whole = block(concentrated=concentrated)
    found = whole(*pair)
    for row, (length, other) in enumerate(zip(INPUTS, REFERENCES, strict=True)):
        before, after = (
            whole.enter(Encoded.of(clip.frames[row, :count]), which).frames[0]
            for which, clip, count in ((0, pair[1], other), (1, pair[0], length))
        )
        x = torch.cat([before, after])
        first = torch.arange(len(x)) < other
        allowed = first[:, None] != first if concentrated else first[:, None] | True
        for layer in whole.layers:
            x = masked_layer(layer, x, allowed)
        assert found.mask[row].tolist() == [True] * len(x) + [False] * (20 - len(x))
        torch.testing.assert_close(found.memory[row, : len(x)], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("concentrated", [True, False])
def test_a_frame_tells_the_other_clip_alone(concentrated: bool, make_encoded: MakeEncoded) -> None:
    clip, reference = make_encoded(6, seed=1), make_encoded(4, seed=2)
    changed = clip.frames.clone()
    changed[:, 2] += 1
    one_layer = block(concentrated=concentrated, layers=1)
    with_it = one_layer(Encoded(changed, clip.mask), reference).memory[0]
    without = one_layer(clip, reference).memory[0]
    moved = ((with_it - without).abs().amax(dim=1) > 1e-6).tolist()
    own = [n == 2 or not concentrated for n in range(6)]
    assert moved == [True] * 4 + own


def test_padding_and_neighbours_change_nothing(pair: tuple[Encoded, Encoded]) -> None:
    whole = block()
    together = whole(*pair)
    ones = zip(pair[0].split(), pair[1].split(), strict=True)
    for row, (clip, reference) in enumerate(ones):
        alone = whole(clip, reference)
        count = alone.memory.shape[1]
        assert together.mask[row].sum() == count
        torch.testing.assert_close(
            together.memory[row, :count], alone.memory[0], rtol=1e-4, atol=1e-5
        )


def test_swapped_clips_are_told_apart(make_encoded: MakeEncoded) -> None:
    clip = make_encoded(5)
    whole = block()
    memory = whole(clip, clip).memory[0]
    assert (memory[:5] - memory[5:]).abs().amin(dim=1).max() > 0.01


def test_levels_are_heard_beside_the_frames(make_encoded: MakeEncoded) -> None:
    clip = make_encoded(5)
    whole = block(bands=3)
    soft, loud = (Encoded(clip.frames, clip.mask, torch.full((1, 5, 3), n)) for n in (0.0, 1.0))
    apart = (whole(loud, soft).memory - whole(soft, soft).memory).abs().amax(dim=2)
    assert apart.min() > 1e-4


def test_a_captioners_batch_is_its_single_pairs(
    make_model: Callable[..., CaptionerModel], sound: Sound, pad: Pad
) -> None:
    """With clips among them that have no reference, and batches of nothing else."""
    model = make_model("concentrated")
    clips, references = [sound(n, n) for n in (1650, 900, 400)], [sound(700, 1), sound(1200, 2)]
    tokens = torch.tensor([[4, 9, 7], [5, 6, 7], [8, 4, 6]])
    together = model(*pad(clips), tokens, *pad(references), torch.tensor([2, 0]))
    none = torch.zeros(0, 1), torch.zeros(0).long(), torch.zeros(0).long()
    of = {2: references[0], 0: references[1]}
    for row, clip in enumerate(clips):
        reference = (*pad([of[row]]), torch.tensor([0])) if row in of else none
        alone = model(*pad([clip]), tokens[row : row + 1], *reference)
        torch.testing.assert_close(together[row], alone[0], rtol=1e-4, atol=1e-4)


def test_beside_an_event_head_its_memory_is_the_decoders(make_encoded: MakeEncoded) -> None:
    config = CaptionerConfig(
        encoder=MobileNetConfig(),
        adapter=NoAdapterConfig(),
        events=EventsConfig(labels=("Bark", "Rain")),
        difference=ConcentratedConfig(memory=16, heads=2, ffn=16),
        decoder=BartDecoderConfig(
            vocab_size=20, width=16, layers=1, heads=2, ffn=16, max_positions=64
        ),
    )
    model = CaptionerModel(config).eval()
    clips, references = make_encoded(5, 3, width=386, garbage=0), make_encoded(4, width=386, seed=2)
    found = model.compare(clips, references, torch.tensor([1]))
    assert found.mask.sum(dim=1).tolist() == [5, 3 + 4]
    block, events = model.difference, model.events
    pair = block(clips.take([1]), references)
    torch.testing.assert_close(found.memory[1, :7], pair.memory[0, :7])
    assert events is not None
    plain = events(Difference(clips.frames, clips.mask, None), torch.tensor([False, False]))
    torch.testing.assert_close(found.memory[0, :5], plain.memory[0, :5])
