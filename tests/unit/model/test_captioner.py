"""The whole road: what stands beside a clip in a batch never changes its caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.captioner import CaptionerModel
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    EventsConfig,
    MobileNetConfig,
    NoAdapterConfig,
)
from model.contracts import Parts
from model.types import Difference, Encoded

Sound = Callable[..., Tensor]
Pad = Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]

PAIRS = ((1650, 777), (170, None), (349, 2000), (1649, None), (800, 150), (777, 1001), (199, 199))
"""Samples of each clip and of its reference, if it has one."""
SEARCHES = {
    "greedy": {"num_beams": 1, "num_captions": 1, "min_length": 5, "no_repeat_ngram_size": 2},
    "beams": {"num_beams": 4, "num_captions": 4, "min_length": 5, "no_repeat_ngram_size": 2},
}


@dataclass(frozen=True)
class Scene:
    """A clip, its reference if it has one, and a sentence about it."""

    clip: Tensor
    reference: Tensor | None
    tokens: Tensor


@pytest.fixture
def scenes(sound: Sound) -> list[Scene]:
    generator = torch.Generator().manual_seed(0)
    return [
        Scene(
            sound(clip, seed=1),
            None if reference is None else sound(reference, seed=2),
            torch.randint(4, 21, (6,), generator=generator),
        )
        for clip, reference in PAIRS
    ]


def batch(scenes: Sequence[Scene], pad: Pad) -> tuple[Tensor, ...]:
    """The model's arguments."""
    rows = [row for row, scene in enumerate(scenes) if scene.reference is not None]
    references = [scene.reference for scene in scenes if scene.reference is not None]
    return (
        *pad([scene.clip for scene in scenes]),
        torch.stack([scene.tokens for scene in scenes]),
        *(pad(references) if references else (torch.zeros(0, 1), torch.zeros(0).long())),
        torch.tensor(rows, dtype=torch.long),
    )


def describe(model: CaptionerModel, scenes: Sequence[Scene], pad: Pad, search: str) -> list[Any]:
    """Sentences and scores of each scene, without their padding."""
    samples, lengths, _, reference_samples, reference_lengths, rows = batch(scenes, pad)
    clips = model.encode(samples, lengths)
    references = model.encode(reference_samples, reference_lengths) if len(rows) else clips.take([])
    found = model.decoder.generate(
        model.compare(clips, references, rows),
        max_new_tokens=12,
        length_penalty=1.0,
        early_stopping=True,
        **SEARCHES[search],
    )
    sentences = [[[t for t in tokens if t != 1] for tokens in row] for row in found.tokens.tolist()]
    return list(zip(sentences, found.scores, strict=True))


# -- padding, neighbours and order ------------------------------------------------------------


def test_logits_do_not_depend_on_the_neighbours(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad
) -> None:
    together = any_model(*batch(scenes, pad))
    alone = torch.cat([any_model(*batch([scene], pad)) for scene in scenes])
    assert together.shape == (len(scenes), 6, 21)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_without_the_encoders_mask_padding_would_matter(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad
) -> None:
    samples, lengths, *rest = batch(scenes, pad)
    whole = torch.full_like(lengths, samples.shape[1])
    apart = any_model(samples, whole, *rest) - any_model(samples, lengths, *rest)
    assert (apart.abs().amax((1, 2)) > 0.005).tolist() == (lengths < 1650).tolist()


def test_without_the_references_mask_padding_would_matter(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad
) -> None:
    samples, lengths, tokens, references, reference_lengths, rows = batch(scenes, pad)
    whole = torch.full_like(reference_lengths, references.shape[1])
    masked, unmasked = (
        any_model(samples, lengths, tokens, references, each, rows)
        for each in (reference_lengths, whole)
    )
    apart = (masked - unmasked).abs().amax((1, 2)) > 0.01
    plain = [scene.reference is None for scene in scenes]
    assert not apart[plain].any()
    assert apart.sum() >= 2


@pytest.mark.parametrize("search", SEARCHES)
def test_captions_do_not_depend_on_the_neighbours(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad, search: str
) -> None:
    together = describe(any_model, scenes, pad, search)
    assert len({str(sentences) for sentences, _ in together}) > len(scenes) / 2
    for (sentences, scores), scene in zip(together, scenes, strict=True):
        [(sentences_alone, scores_alone)] = describe(any_model, [scene], pad, search)
        assert sentences == sentences_alone
        torch.testing.assert_close(scores, scores_alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
def test_order_of_the_batch_does_not_matter(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad, search: str
) -> None:
    order = [4, 1, 6, 0, 2, 5, 3]
    straight = describe(any_model, scenes, pad, search)
    shuffled = describe(any_model, [scenes[row] for row in order], pad, search)
    for row, (sentences, scores) in zip(order, shuffled, strict=True):
        assert sentences == straight[row][0]
        torch.testing.assert_close(scores, straight[row][1], rtol=0, atol=1e-4)


def test_batch_without_references_is_plain_captioning(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad
) -> None:
    plain = [Scene(scene.clip, None, scene.tokens) for scene in scenes]
    samples, lengths, tokens, *_ = batch(plain, pad)
    clips = any_model.encode(samples, lengths)
    expected = any_model.decoder(Difference(clips.frames, clips.mask, None), tokens)
    torch.testing.assert_close(any_model(*batch(plain, pad)), expected)


def test_clips_are_encoded_as_in_a_batch(
    any_model: CaptionerModel, scenes: list[Scene], pad: Pad
) -> None:
    clips = [scene.clip for scene in scenes]
    expected = any_model.encode(*pad(clips)).split()
    for one, other in zip(any_model.encode_clips(clips), expected, strict=True):
        assert torch.equal(one.mask, other.mask)
        torch.testing.assert_close(one.frames, other.frames, rtol=1e-4, atol=1e-5)


# -- compare ----------------------------------------------------------------------------------


class Fake(nn.Module):
    """A diff block whose memory holds the clip's number, at another length than the clip."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, clips: Encoded, references: Encoded) -> Difference:
        rows, _, width = clips.frames.shape
        assert len(references.frames) == rows
        number = clips.frames[:, :1] + references.frames[:, :1]
        mask = torch.arange(self.length).expand(rows, -1) < self.length - 1
        return Difference(
            number.expand(rows, self.length, width), mask, torch.full((rows, self.length), 0.25)
        )


@pytest.mark.parametrize("length", [2, 5, 9], ids=["shorter", "as long", "longer"])
def test_memory_of_any_length_lands_on_its_clip(make_model: Any, length: int) -> None:
    model = make_model()
    model.difference = Fake(length)
    numbers = torch.arange(1.0, 5)[:, None, None]
    clips = Encoded(numbers.expand(4, 5, 16), torch.arange(5) < torch.tensor([[5], [3], [4], [2]]))
    references = Encoded(torch.tensor([30.0, 10])[:, None, None].expand(2, 7, 16), clips.mask[:2])
    found = model.compare(clips, references, torch.tensor([3, 1]))
    longest = max(5, length)
    assert found.memory.shape == (4, longest, 16)
    assert found.mask.shape == found.kept.shape == (4, longest)
    for row, number in ((1, 2 + 10), (3, 4 + 30)):
        assert found.memory[row, :length].unique().tolist() == [number]
        assert found.mask[row].tolist() == [True] * (length - 1) + [False] * (longest - length + 1)
        assert found.kept[row, :length].unique().tolist() == [0.25]
    for row in (0, 2):
        assert torch.equal(found.memory[row, :5], clips.frames[row])
        assert torch.equal(found.mask[row], F.pad(clips.mask[row], (0, longest - 5)))
        assert found.kept[row, :5].unique().tolist() == [1]


def test_clips_without_a_reference_pass_untouched(
    any_model: CaptionerModel, make_encoded: Callable[..., Encoded]
) -> None:
    clips, references = make_encoded(5, 3, 8, seed=1), make_encoded(4, seed=2)
    found = any_model.compare(clips, references, torch.tensor([1]))
    for row in (0, 2):
        assert torch.equal(found.memory[row], clips.frames[row])
        assert torch.equal(found.mask[row], clips.mask[row])
        assert found.kept is None or found.kept[row].eq(1).all()
    assert not torch.isclose(found.memory[1, :3], clips.frames[1, :3]).any()
    assert found.kept is None or found.kept[1, :3].lt(1).all()
    assert (found.kept is None) == (any_model.config.difference.name == "subtraction")


def test_nothing_is_left_of_what_is_its_own_reference() -> None:
    """However loud: of 0.9 the attention alone would leave some."""
    labels = ("Bark", "Rain")
    config = CaptionerConfig(
        encoder=MobileNetConfig(),
        adapter=NoAdapterConfig(),
        events=EventsConfig(labels=labels),
        decoder=BartDecoderConfig(
            vocab_size=20, width=16, layers=1, heads=2, ffn=16, max_positions=64
        ),
    )
    model = CaptionerModel(config)
    frames = torch.randn(3, 5, 386, generator=torch.Generator().manual_seed(0))
    frames[..., -2:] = 0.9
    mask = torch.arange(5) < torch.tensor([[5], [3], [5]])
    clips = Encoded(frames, mask)
    longer = F.pad(frames, (0, 0, 0, 2), value=7.0)  # padding does not count
    others = Encoded(longer + 1e-4, F.pad(mask, (0, 2)))
    found = model.compare(clips, others, torch.tensor([0, 1, 2]))
    assert found.events is not None
    assert not found.events.any()
    others.frames[0, 2, 7] += 1  # one frame differs
    others.mask[2, 5] = True  # one more
    found = model.compare(clips, others, torch.tensor([0, 1, 2]))
    assert found.events is not None
    assert [bool(left.any()) for left in found.events] == [True, False, True]


# -- parameters -------------------------------------------------------------------------------


def test_layout_of_the_state_dict(any_model: CaptionerModel) -> None:
    """Published checkpoints stand on these names."""
    block = (
        r"encoder\.blocks\.[012]\.(conv[12]\.weight|norm[12]\.(weight|bias|running_\w+|num_\w+))"
    )
    layout = [
        r"encoder\.norm\.(weight|bias|running_mean|running_var|num_batches_tracked)",
        block,
        r"adapter\.(weight|bias)",
        r"decoder\.bart\.(model\.(shared|encoder|decoder)\.[\w.]+|final_logits_bias)",
    ]
    if any_model.config.difference.name == "masking":
        layout.append(r"difference\.(query|key|value)\.(weight|bias)")
    names = list(any_model.state_dict())
    for name in names:
        assert re.fullmatch("|".join(layout), name), name
    for part in layout:
        assert any(re.fullmatch(part, name) for name in names), part


def test_default_configuration_has_the_papers_shapes() -> None:
    with torch.device("meta"):
        model = CaptionerModel(CaptionerConfig())
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["encoder.norm.weight"] == (64,)
    widths = (1, 64, 128, 256, 512, 1024, 2048)
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        block = f"encoder.blocks.{number}"
        assert shapes[f"{block}.conv1.weight"] == (outputs, inputs, 3, 3)
        assert shapes[f"{block}.conv2.weight"] == (outputs, outputs, 3, 3)
        assert f"{block}.conv1.bias" not in shapes
        assert model.encoder.blocks[number].pool == (2, 2)
        assert model.encoder.blocks[number].dropout.p == 0.2
    assert f"encoder.blocks.{len(widths) - 1}.conv1.weight" not in shapes
    assert shapes["adapter.weight"] == (768, 2048)
    for projection in ("query", "key", "value"):
        assert shapes[f"difference.{projection}.weight"] == (768, 768)
        assert shapes[f"difference.{projection}.bias"] == (768,)
    bart = model.decoder.bart
    assert shapes["decoder.bart.model.shared.weight"] == (50265, 768)
    assert len(bart.model.encoder.layers) == 0
    assert len(bart.model.decoder.layers) == 6
    for number, layer in enumerate(bart.model.decoder.layers):
        assert layer.self_attn.heads == layer.encoder_attn.heads == 12
        assert shapes[f"decoder.bart.model.decoder.layers.{number}.fc1.weight"] == (3072, 768)
        assert layer.dropout.p == 0.1
    assert model.encoder.time_pool == 64
    assert model.encoder.frame_s == pytest.approx(1.28)


def test_parts_made_elsewhere_take_their_slots(model: CaptionerModel) -> None:
    parts = Parts(model.encoder, model.adapter, model.difference, model.decoder)
    other = CaptionerModel(CaptionerConfig(), parts)
    assert other.state_dict().keys() == model.state_dict().keys()
    assert other.encoder is model.encoder
    assert other.decoder is model.decoder


def test_every_parameter_learns(make_model: Any, scenes: list[Scene], pad: Pad) -> None:
    model = make_model().train()
    arguments = batch(scenes, pad)
    with torch.enable_grad():
        F.cross_entropy(model(*arguments).flatten(0, 1), arguments[2].flatten()).backward()
    still = [name for name, value in model.named_parameters() if value.grad is None]
    assert still == ["difference.key.bias"], "a softmax does not see it"
