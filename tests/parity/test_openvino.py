"""Compiled by OpenVINO, the parts give what they give in torch: frames to 1e-4, and all tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.captioner import Captioner
from model.contracts import Compilable, Encoder
from model.decoders import BartDecoder
from model.encoders import EfficientAt, MobileNet
from model.runtimes.openvino import OpenVino
from model.types import Description, Difference, GenerationOptions, SourceInfo, Waveform
from service.settings import BUNDLED
from tests.support.networks import tagger
from tests.support.searches import draw_memory, draw_options, lively_decoder


@pytest.fixture(scope="module", autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def compiled(part: nn.Module) -> Any:
    """A copy."""
    copy = deepcopy(part)
    assert isinstance(copy, Compilable)
    copy.compile_with(OpenVino())
    return copy


def sounds(rate: int, *seconds: float) -> list[Tensor]:
    """Tones that come and go, a clip of each length."""
    torch.manual_seed(0)
    clips = []
    for number, length in enumerate(seconds):
        times = torch.arange(round(length * rate)) / rate
        tone = torch.sin(times * (900 + 4000 * number) + 5 * torch.sin(3 * times))
        clips.append(tone * torch.sin(times * 2).square() + 0.01 * torch.randn(len(times)))
    return clips


# Encoders ----------------------------------------------------------------------------------------


def mobilenet() -> MobileNet:
    """At random weights that keep the scale of what passes through."""
    torch.manual_seed(0)
    encoder = MobileNet(width=24, context=1, kernel=3).eval()
    for module in encoder.trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return encoder


def efficientat() -> EfficientAt:
    encoder = EfficientAt().eval()
    encoder.network = tagger()
    return encoder


@pytest.fixture(scope="module", params=[mobilenet, efficientat])
def encoders(request: pytest.FixtureRequest) -> tuple[Encoder, Encoder]:
    """In torch, and compiled."""
    encoder = request.param()
    return encoder, compiled(encoder)


def test_frames(encoders: tuple[Encoder, Encoder]) -> None:
    """The shortest clip, the longest that is accepted, and some between, by themselves."""
    torches, ours = encoders
    for clip in sounds(torches.sample_rate, 0.1, 60, 5, 0.4, 12.3):
        [wanted], [found] = torches.encode([clip]), ours.encode([clip])
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_a_batch_is_its_clips(encoders: tuple[Encoder, Encoder]) -> None:
    _, ours = encoders
    clips = sounds(ours.sample_rate, 0.1, 9, 2.5, 4)
    for clip, found in zip(clips, ours.encode(clips), strict=True):
        torch.testing.assert_close(found, ours.encode([clip])[0], rtol=0, atol=1e-4)


# The decoder -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decoders() -> tuple[BartDecoder, BartDecoder]:
    """In torch, and compiled."""
    decoder = lively_decoder()
    return decoder, compiled(decoder)


def assert_equal(
    decoders: tuple[BartDecoder, BartDecoder], memory: Difference, **options: Any
) -> None:
    wanted, found = (each.generate(memory, **options) for each in decoders)
    assert torch.equal(found.tokens, wanted.tokens), options
    assert torch.equal(found.lengths, wanted.lengths), options
    torch.testing.assert_close(found.scores, wanted.scores, rtol=0, atol=2e-4)


@pytest.mark.parametrize("seed", range(25))
def test_a_thousand_random_cases(decoders: tuple[BartDecoder, BartDecoder], seed: int) -> None:
    """25 x 5 batches of 8 clips, each with options of its own."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    for _ in range(5):
        options = draw_options(rng) | {"no_repeat_window": rng.choice([0, 0, 2])}
        assert_equal(decoders, draw_memory(rng, 8, 16), **options)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_captions_beyond_the_first_room(
    decoders: tuple[BartDecoder, BartDecoder], num_beams: int
) -> None:
    """The cache of past tokens grows, twice."""
    torch.manual_seed(0)
    memory = draw_memory(random.Random(0), 3, 16)
    assert_equal(
        decoders, memory, num_beams=num_beams, num_captions=1, max_new_tokens=50, min_length=49,
        no_repeat_ngram_size=0, length_penalty=1.0, early_stopping=True,
    )  # fmt: skip


def test_a_batch_of_memories_is_each_alone(decoders: tuple[BartDecoder, BartDecoder]) -> None:
    torch.manual_seed(3)
    memory = draw_memory(random.Random(3), 6, 16)
    options = {"num_beams": 4, "num_captions": 4, "max_new_tokens": 14, "min_length": 0}
    options |= {"no_repeat_ngram_size": 3, "length_penalty": 1.0, "early_stopping": True}
    together = decoders[1].generate(memory, **options)
    for row, length in enumerate(memory.mask.sum(dim=1).tolist()):
        one = Difference(
            memory.memory[row : row + 1, :length], memory.mask[row : row + 1, :length], None
        )
        alone = decoders[1].generate(one, **options)
        width = alone.tokens.shape[2]
        assert torch.equal(alone.tokens[0], together.tokens[row, :, :width])
        torch.testing.assert_close(alone.scores[0], together.scores[row], rtol=0, atol=2e-4)


# The bundled checkpoint --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def captioners() -> tuple[Captioner, Captioner]:
    """In torch, and compiled."""
    torches, ours = (
        Captioner.from_dir(BUNDLED, "cpu", runtime=name) for name in ("torch", "openvino")
    )
    return torches, ours


@pytest.fixture(scope="module")
def clips() -> list[Waveform]:
    return [
        Waveform(clip, 16_000, SourceInfo(len(clip) / 16_000, 16_000, 1, "wav"))
        for clip in sounds(16_000, 5, 0.1, 10, 2.2, 31, 7)
    ]


def texts(descriptions: list[Description]) -> list[list[str]]:
    return [[caption.text for caption in each.captions] for each in descriptions]


@pytest.mark.parametrize("beams", [1, 4])
def test_captions(
    captioners: tuple[Captioner, Captioner], clips: list[Waveform], beams: int
) -> None:
    options = GenerationOptions(beams, beams)
    wanted, found = (each.caption(clips, options) for each in captioners)
    assert texts(found) == texts(wanted)


def test_differences(captioners: tuple[Captioner, Captioner], clips: list[Waveform]) -> None:
    pairs = [(clips[0], clips[2]), (clips[4], clips[1]), (clips[3], clips[3])]
    wanted, found = (each.difference(pairs) for each in captioners)
    assert texts(found) == texts(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.timeline is not None
        assert other.timeline is not None
        kept = [[segment.kept for segment in each] for each in (one.timeline, other.timeline)]
        assert kept[0] == pytest.approx(kept[1], abs=2e-4)
