"""Our BART is Transformers' BART: the same names, logits and gradients."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.decoding.reference import transformers_bart
from model.decoders import BartDecoder
from model.types import Difference
from tests.support.searches import EOS, draw_memory, lively_decoder

Network = torch.nn.Module


@pytest.fixture(params=[0, 2], ids=["no encoder layers", "two encoder layers"])
def decoder(request: pytest.FixtureRequest) -> BartDecoder:
    return lively_decoder(request.param)


@pytest.fixture(params=range(3))
def memory(request: pytest.FixtureRequest) -> Difference:
    torch.manual_seed(request.param)
    return draw_memory(random.Random(request.param), 6, 16)


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(3, 40, (6, 9), generator=torch.Generator().manual_seed(0))


def theirs(bart: Network, memory: Difference, tokens: Tensor) -> Tensor:
    start = torch.full_like(tokens[:, :1], EOS)
    logits: Tensor = bart(
        inputs_embeds=memory.memory,
        attention_mask=memory.mask,
        decoder_input_ids=torch.cat([start, tokens[:, :-1]], dim=1),
    ).logits
    return logits


def test_logits(decoder: BartDecoder, memory: Difference, tokens: Tensor) -> None:
    found = decoder(memory, tokens)
    expected = theirs(transformers_bart(decoder), memory, tokens)
    assert expected.std() > 1
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_gradients(decoder: BartDecoder, memory: Difference, tokens: Tensor) -> None:
    """Without dropout: what both draw differs."""
    bart = transformers_bart(decoder)
    for logits in (decoder(memory, tokens), theirs(bart, memory, tokens)):
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    expected = dict(bart.named_parameters())
    for name, parameter in decoder.bart.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-4, atol=1e-6)


def test_dropout_falls_where_theirs_does(decoder: BartDecoder, tokens: Tensor) -> None:
    """Its share is felt alike: the logits of many draws spread as far."""
    decoder.train()
    bart = transformers_bart(decoder).train()
    memory = draw_memory(random.Random(0), 6, 16)
    torch.manual_seed(0)
    with torch.no_grad():
        ours, others = (
            float(torch.stack([run() for _ in range(300)]).std(dim=0).mean())
            for run in (lambda: decoder(memory, tokens), lambda: theirs(bart, memory, tokens))
        )
    assert ours == pytest.approx(others, rel=0.03)


def test_fresh_weights_are_as_theirs() -> None:
    torch.manual_seed(0)
    decoder = BartDecoder(
        vocab_size=500, width=64, layers=2, heads=4, ffn=128, dropout=0.1, max_positions=64,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, encoder_layers=1,
    )  # fmt: skip
    fresh = type(transformers_bart(decoder))(transformers_bart(decoder).config).state_dict()
    for name, weights in decoder.bart.state_dict().items():
        if name == "model.encoder.embed_positions.weight":
            continue  # zero, and why is said there
        for number, within in (
            (Tensor.std, {"rel": 0.1, "abs": 1e-6}),
            (Tensor.mean, {"abs": 2e-3}),
        ):
            expected = pytest.approx(float(number(fresh[name])), **within)
            assert float(number(weights)) == expected, name
