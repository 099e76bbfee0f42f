"""Our search finds what Transformers' ``generate`` finds, token for token."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.decoding import reference
from model import checkpoint
from model.config import CaptionerConfig
from model.decoders import BartDecoder
from model.decoders.search import NextTokens, Search, search
from model.types import Difference
from tests.support.searches import EOS, PAD, draw_memory, draw_options, lively_decoder

ROOT = Path(__file__).resolve().parents[2]


@torch.inference_mode()
def score(decoder: BartDecoder, difference: Difference, tokens: Tensor) -> Tensor:
    """[B, N]: the mean log-probability of tokens [B, N, L], each given those before it."""
    captions = tokens.shape[1]
    rows = torch.arange(len(tokens)).repeat_interleave(captions)
    flat = tokens.flatten(0, 1)
    repeated = Difference(difference.memory[rows], difference.mask[rows], None)
    log_p = decoder(repeated, flat).float().log_softmax(-1)
    each = log_p.gather(-1, flat.unsqueeze(-1)).squeeze(-1)
    real = flat != PAD
    real[:, 0] = False
    return ((each * real).sum(1) / real.sum(1)).view(-1, captions)


def assert_equal(decoder: BartDecoder, difference: Difference, **options: Any) -> None:
    wanted = reference.generate(reference.transformers_bart(decoder), difference, **options)
    found = decoder.generate(difference, **options)
    width = max(wanted.shape[-1], found.tokens.shape[-1])
    wanted, tokens = (
        F.pad(each, (0, width - each.shape[-1]), value=PAD) for each in (wanted, found.tokens)
    )
    assert torch.equal(tokens, wanted), options
    scores = score(decoder, difference, tokens)
    torch.testing.assert_close(found.scores, scores, rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def small() -> BartDecoder:
    return lively_decoder()


@pytest.mark.parametrize("seed", range(25))
def test_a_thousand_random_cases(small: BartDecoder, seed: int) -> None:
    """25 x 5 batches of 8 clips, each with options of its own."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    for _ in range(5):
        assert_equal(small, draw_memory(rng, 8, 16), **draw_options(rng))


def test_with_encoder_layers() -> None:
    rng = random.Random(7)
    torch.manual_seed(7)
    for _ in range(5):
        assert_equal(lively_decoder(encoder_layers=2), draw_memory(rng, 8, 16), **draw_options(rng))


@pytest.mark.parametrize("num_beams", [1, 4])
def test_the_bundled_checkpoint(num_beams: int) -> None:
    model = checkpoint.load(ROOT / "checkpoints" / "default", torch.float32).model
    torch.manual_seed(0)
    samples = torch.randn(6, 48_000).cumsum(1).sin() * torch.rand(6, 1)  # no two alike
    with torch.inference_mode():
        heard = model.encode(samples, torch.full((6,), 48_000))
        difference = model.compare(heard, heard.take([1, 2]), torch.tensor([0, 4]))
    options = {"num_captions": num_beams, "min_length": 5, "no_repeat_ngram_size": 3}
    assert_equal(
        model.decoder,
        difference,
        num_beams=num_beams,
        max_new_tokens=62,
        length_penalty=1.0,
        early_stopping=True,
        **options,
    )


def test_the_papers_size() -> None:
    torch.manual_seed(0)
    decoder = BartDecoder(**CaptionerConfig().decoder.keywords()).eval()
    rng = random.Random(0)
    for options in ({"num_beams": 1, "num_captions": 1}, {"num_beams": 4, "num_captions": 2}):
        assert_equal(
            decoder,
            draw_memory(rng, 3, 768),
            max_new_tokens=8,
            min_length=5,
            no_repeat_ngram_size=3,
            length_penalty=1.0,
            early_stopping=True,
            **options,
        )


class Table:
    """A decoder that has seen everything: the logits follow from the last token alone."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits  # [V, V]
        self.rows: Tensor | None = None
        self.steps: list[int] = []

    def prefill(self, tokens: Tensor) -> Tensor:
        return self.logits[tokens[:, -1:]]

    def step(self, tokens: Tensor, parents: Tensor) -> Tensor:  # noqa: ARG002
        self.steps.append(len(tokens))
        return self.logits[tokens]

    def take(self, rows: Tensor) -> None:
        self.rows = rows


def test_finished_clips_leave_the_batch() -> None:
    """Word 4 ends at once; the words from 5 on are said one after the other."""
    logits = torch.full((20, 20), -50.0)
    logits[4, EOS] = 0
    for word in range(5, 20):
        logits[word, min(word + 1, 19)] = 0
    how = Search(
        num_beams=1, num_captions=1, max_length=10, min_length=0, no_repeat_ngram_size=0,
        no_repeat_window=0,
        length_penalty=1.0, early_stopping=True, eos_token_id=EOS, pad_token_id=PAD,
    )  # fmt: skip
    decoder: NextTokens = (table := Table(logits))
    found = search(decoder, torch.tensor([[EOS, 4], [EOS, 5], [EOS, 4], [EOS, 10]]), how)
    assert found.tokens[0, 0].tolist() == [4, EOS] + 7 * [PAD]
    assert found.tokens[1, 0].tolist() == [5, 6, 7, 8, 9, 10, 11, 12, EOS]
    assert found.tokens[3, 0].tolist() == [10, 11, 12, 13, 14, 15, 16, 17, EOS]
    assert table.rows is not None
    assert table.rows.tolist() == [1, 3]
    assert table.steps == [2] * 7
