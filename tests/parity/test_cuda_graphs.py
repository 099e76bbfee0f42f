"""Recorded as CUDA graphs, decoding finds the same tokens; with clips added for company, too."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from engine.captioner import Captioner
from model.contracts import Compile
from model.decoders import BartDecoder
from model.runtimes.cuda_graphs import CudaGraphs
from model.types import Difference, GenerationOptions, SourceInfo, Waveform
from service.settings import BUNDLED
from tests.support.searches import draw_memory, draw_options, lively_decoder


class AsItIs:
    """Compiles nothing, and has clips added until they are a power of two."""

    own_threads, few_shapes = False, True

    def __init__(self) -> None:
        self.clips: set[int] = set()

    def __call__(self, module: nn.Module, *_: Tensor) -> nn.Module:
        module.register_forward_pre_hook(lambda _, inputs: self.clips.add(len(inputs[0])))
        return module


def decoders(device: str, compile: Compile) -> tuple[BartDecoder, BartDecoder]:  # noqa: A002
    """In torch, and compiled."""
    decoder = lively_decoder().to(device)
    ours = deepcopy(decoder)
    ours.compile_with(compile)
    return decoder, ours


def assert_equal(pair: tuple[BartDecoder, BartDecoder], memory: Difference, **options: Any) -> None:
    wanted, found = (each.generate(memory, **options) for each in pair)
    assert torch.equal(found.tokens, wanted.tokens), options
    torch.testing.assert_close(found.scores, wanted.scores, rtol=0, atol=2e-4)


def test_clips_added_for_company_change_nothing() -> None:
    compile_with = AsItIs()
    pair = decoders("cpu", compile_with)
    rng = random.Random(0)
    torch.manual_seed(0)
    for clips in (1, 2, 3, 5, 6, 7):
        assert_equal(pair, draw_memory(rng, clips, 16), **draw_options(rng))
    assert compile_with.clips <= {1, 2, 4, 8}


@pytest.mark.gpu
@pytest.mark.parametrize("seed", range(5))
def test_hundreds_of_random_cases(seed: int) -> None:
    """5 x 25 batches of up to 8 clips, each with options of its own; shapes come again."""
    pair = decoders("cuda", CudaGraphs())
    rng = random.Random(seed)
    torch.manual_seed(seed)
    for _ in range(25):
        memory = draw_memory(rng, 8, 16)
        memory = replace(memory, memory=memory.memory.cuda(), mask=memory.mask.cuda())
        assert_equal(pair, memory, **draw_options(rng))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_captions_and_differences(dtype: str) -> None:
    """Twice, since what comes again is replayed."""
    torches, ours = (
        Captioner.from_dir(BUNDLED, "cuda", dtype, runtime) for runtime in ("torch", "graphs")
    )
    rate = ours.sample_rate
    torch.manual_seed(0)
    clips = []
    for seconds in (5, 2, 10):
        times = torch.arange(seconds * rate) / rate
        sound = torch.sin(900 * seconds * times) * torch.sin(2 * times).square()
        sound += 0.01 * torch.randn(len(times))
        clips.append(Waveform(sound, rate, SourceInfo(float(seconds), rate, 1, "wav")))
    options = GenerationOptions(4, 4)
    pairs = [(clips[0], clips[1]), (clips[1], clips[1])]
    for _ in range(3):
        for wanted, found in (
            (torches.caption(clips, options), ours.caption(clips, options)),
            (torches.difference(pairs), ours.difference(pairs)),
        ):
            texts = [[[c.text for c in each.captions] for each in one] for one in (wanted, found)]
            assert texts[0] == texts[1]
