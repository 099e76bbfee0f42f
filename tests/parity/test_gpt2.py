"""Our GPT-2 is Transformers' GPT-2: names, logits, gradients; and what is found with it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from model.decoders import Gpt2Decoder
from model.types import Difference
from tests.support.searches import EOS, PAD, draw_options

CLIPS, VECTORS, WIDTH = 5, 4, 32


@pytest.fixture
def decoder() -> Gpt2Decoder:
    """Random and lively: answers of many lengths, no two tokens nearly equally likely."""
    torch.manual_seed(1)
    made = Gpt2Decoder(
        vocab_size=40, width=WIDTH, layers=2, heads=4, max_positions=64, dropout=0.1,
        prompt_tokens=3, mapper_layers=1, mapper_heads=2, cross_layers=1, cross_heads=2,
        separator_token_id=EOS, pad_token_id=PAD, eos_token_id=EOS,
    ).eval()  # fmt: skip
    for name, parameter in made.named_parameters():
        nn.init.normal_(parameter, std=0.7 if name.endswith("weight") else 0.3)
    return made


@pytest.fixture
def memory() -> Difference:
    frames = torch.randn(CLIPS, 2 * VECTORS, WIDTH, generator=torch.Generator().manual_seed(2))
    return Difference(frames, torch.ones(CLIPS, 2 * VECTORS).bool(), None)


@pytest.fixture
def prompt() -> Tensor:
    return torch.randint(3, 40, (CLIPS, 6), generator=torch.Generator().manual_seed(3))


def theirs(decoder: Gpt2Decoder) -> Any:
    """Any: Transformers' annotations of ``generate`` do not fit its own models."""
    ours = decoder.gpt
    gpt = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=ours.transformer.wte.num_embeddings, n_embd=WIDTH, n_head=ours.heads,
            n_layer=len(ours.transformer.h), n_positions=decoder.max_positions,
            resid_pdrop=ours.dropout, embd_pdrop=ours.dropout, attn_pdrop=ours.dropout,
            bos_token_id=EOS, eos_token_id=EOS, pad_token_id=PAD,
        )
    )  # fmt: skip
    found = gpt.load_state_dict(ours.state_dict(), strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["lm_head.weight"], [])
    return gpt.eval()


def test_logits_and_gradients(decoder: Gpt2Decoder, memory: Difference, prompt: Tensor) -> None:
    gpt = theirs(decoder)
    tokens = torch.randint(3, 40, (CLIPS, 7), generator=torch.Generator().manual_seed(4))
    prefix = decoder.prefix(memory.memory, prompt).detach()
    words = torch.cat([prefix, decoder.gpt.embed(tokens[:, :-1]).detach()], dim=1)
    expected = gpt(inputs_embeds=words).logits[:, prefix.shape[1] - 1 :]
    assert expected.std() > 1
    torch.testing.assert_close(decoder(memory, tokens, prompt), expected, rtol=1e-4, atol=1e-4)
    for logits in (decoder.gpt.logits(decoder.gpt(words)[:, prefix.shape[1] - 1 :]), expected):
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    others = dict(gpt.named_parameters())
    for name, parameter in decoder.gpt.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-3, atol=1e-5)


def test_of_no_clips_it_speaks_as_gpt2_does(decoder: Gpt2Decoder) -> None:
    tokens = torch.randint(3, 40, (CLIPS, 7), generator=torch.Generator().manual_seed(5))
    start = torch.full((CLIPS, 1), EOS)
    places = torch.arange(9, 16)
    expected = theirs(decoder)(torch.cat([start, tokens[:, :-1]], dim=1), position_ids=places[None])
    torch.testing.assert_close(decoder.speak(tokens, 10), expected.logits, rtol=1e-4, atol=1e-4)


def test_fresh_weights_are_as_theirs() -> None:
    torch.manual_seed(0)
    decoder = Gpt2Decoder(
        vocab_size=500, width=WIDTH, layers=3, heads=4, max_positions=64, dropout=0.1,
        prompt_tokens=3, mapper_layers=1, mapper_heads=2, cross_layers=1, cross_heads=2,
        separator_token_id=None, pad_token_id=PAD, eos_token_id=EOS,
    )  # fmt: skip
    fresh = GPT2LMHeadModel(theirs(decoder).config).state_dict()
    for name, weights in decoder.gpt.state_dict().items():
        expected = pytest.approx(float(fresh[name].std()), rel=0.1, abs=1e-6)
        assert float(weights.std()) == expected, name


@pytest.mark.filterwarnings("ignore:Passing `no_repeat_ngram_size`")
@pytest.mark.parametrize("seed", range(25))
def test_token_for_token_what_generate_finds(
    decoder: Gpt2Decoder, memory: Difference, prompt: Tensor, seed: int
) -> None:
    options = draw_options(random.Random(seed))
    found = decoder.generate(memory, prompt=prompt, **options)
    prefix = decoder.prefix(memory.memory, prompt)
    searched = dict(options)
    captions, longest = searched.pop("num_captions"), searched.pop("max_new_tokens")
    least = min(searched.pop("min_length"), longest) - 1  # ours counts the start
    if options["num_beams"] == 1:  # Transformers warns of settings that a greedy search ignores
        del searched["length_penalty"], searched["early_stopping"]
    expected = (
        theirs(decoder)
        .generate(
            inputs_embeds=prefix,
            attention_mask=torch.ones(prefix.shape[:2]),
            do_sample=False,
            num_return_sequences=captions,
            max_new_tokens=longest,
            min_new_tokens=max(least, 0),
            forced_eos_token_id=EOS,
            **searched,
        )
        .unflatten(0, (CLIPS, captions))
    )
    length = min(found.tokens.shape[2], expected.shape[2])
    assert found.tokens[..., :length].equal(expected[..., :length])
    assert (found.tokens[..., length:] == PAD).all()
    assert (expected[..., length:] == PAD).all()
    assert found.forced == 0
    assert found.lengths.equal((found.tokens != PAD).sum(dim=2))
