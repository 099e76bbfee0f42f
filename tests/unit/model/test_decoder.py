"""The decoder against a naive loop, and what generation promises about tokens and scores."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import combinations, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.decoders import BartDecoder
from model.types import Difference, Encoded, Sequences

BOS, PAD, EOS = 0, 1, 2
LENGTHS = (4, 9, 1, 6, 7)
FREE = {"min_length": 0, "no_repeat_ngram_size": 0}
"""No constraint but the forced first and last token."""

MakeMemory = Callable[..., Difference]


@pytest.fixture
def decoder(model: CaptionerModel) -> BartDecoder:
    return model.decoder


@pytest.fixture
def make_memory(make_encoded: Callable[..., Encoded]) -> MakeMemory:
    def make(*lengths: int, garbage: float = 50.0) -> Difference:
        encoded = make_encoded(*lengths, seed=3, garbage=garbage)
        return Difference(encoded.frames, encoded.mask, None)

    return make


@pytest.fixture
def memory(make_memory: MakeMemory) -> Difference:
    """Memories of several lengths, with garbage on the padding."""
    return make_memory(*LENGTHS)


def row(memory: Difference, number: int) -> Difference:
    """One memory without its padding."""
    count = int(memory.mask[number].sum())
    one = slice(number, number + 1)
    return Difference(memory.memory[one, :count], memory.mask[one, :count], None)


def generate(decoder: BartDecoder, memory: Difference, **options: Any) -> Sequences:
    settings: dict[str, Any] = {
        "num_beams": 1,
        "num_captions": 1,
        "max_new_tokens": 10,
        "min_length": 4,
        "no_repeat_ngram_size": 3,
        "length_penalty": 1.0,
        "early_stopping": True,
    }
    return decoder.generate(memory, **{**settings, **options})


def next_log_probs(decoder: BartDecoder, memory: Difference, prefix: list[int]) -> Tensor:
    """[V] log-probabilities of the token after ``prefix``."""
    return decoder(memory, torch.tensor([[*prefix, PAD]]))[0, -1].log_softmax(-1)


def naive_greedy(
    decoder: BartDecoder, memory: Difference, max_new_tokens: int
) -> tuple[list[int], float]:
    """The most likely token after another; the first and, at the limit, the last are forced."""
    tokens, log_probs = [BOS], []
    while tokens[-1] != EOS:
        each = next_log_probs(decoder, memory, tokens)
        tokens.append(EOS if len(tokens) == max_new_tokens else int(each.argmax()))
        log_probs.append(float(each[tokens[-1]]))
    return tokens, sum(log_probs) / len(log_probs)


def unpadded(tokens: Tensor) -> list[int]:
    """Up to the end-of-sentence token; after it there is only padding."""
    numbers: list[int] = tokens.tolist()
    end = numbers.index(EOS) + 1
    assert set(numbers[end:]) <= {PAD}
    return numbers[:end]


def repeats(tokens: list[int], size: int) -> bool:
    grams = [tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)]
    return len(set(grams)) < len(grams)


# -- logits -----------------------------------------------------------------------------------


def test_logits_do_not_depend_on_padding(decoder: BartDecoder, memory: Difference) -> None:
    tokens = torch.randint(4, 21, (len(LENGTHS), 6))
    batch = decoder(memory, tokens)
    assert batch.shape == (len(LENGTHS), 6, 21)
    for number in range(len(LENGTHS)):
        alone = decoder(row(memory, number), tokens[number : number + 1])
        torch.testing.assert_close(batch[number], alone[0], rtol=1e-4, atol=1e-4)


def test_without_the_mask_padding_would_matter(decoder: BartDecoder, memory: Difference) -> None:
    tokens = torch.randint(4, 21, (len(LENGTHS), 6))
    unmasked = Difference(memory.memory, torch.ones_like(memory.mask), None)
    apart = (decoder(memory, tokens) - decoder(unmasked, tokens)).abs().amax((1, 2))
    longest = LENGTHS.index(max(LENGTHS))
    assert apart[longest] < 1e-4
    assert apart[[number for number in range(len(LENGTHS)) if number != longest]].min() > 0.1


def test_logits_see_the_past_and_not_the_future(decoder: BartDecoder, memory: Difference) -> None:
    tokens = torch.full((len(LENGTHS), 6), 5)
    changed = tokens.clone()
    changed[:, 3] = 9
    apart = (decoder(memory, tokens) - decoder(memory, changed)).abs().amax((0, 2))
    assert apart[:4].max() < 1e-5
    assert apart[4:].min() > 0.1


def test_logits_depend_on_the_memory_and_its_order(
    decoder: BartDecoder, memory: Difference
) -> None:
    one = row(memory, 1)
    tokens = torch.tensor([[BOS, 5, 6]])
    for other in (one.memory * 0.5, one.memory.flip(1)):
        changed = decoder(Difference(other, one.mask, None), tokens)
        assert (changed - decoder(one, tokens)).abs().max() > 0.1


def test_places_never_trained_add_nothing() -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 21, "width": 16, "layers": 1, "heads": 2, "ffn": 24, "dropout": 0.0}
    special = {"bos_token_id": BOS, "pad_token_id": PAD, "eos_token_id": EOS}
    fresh = BartDecoder(**sizes, max_positions=64, **special).eval()
    assert not fresh.bart.model.encoder.embed_positions.weight.any()
    assert fresh.bart.model.decoder.embed_positions.weight.any()


# -- generation -------------------------------------------------------------------------------


@pytest.mark.parametrize("max_new_tokens", [1, 4, 15])
def test_greedy_is_the_naive_loop(
    decoder: BartDecoder, memory: Difference, max_new_tokens: int
) -> None:
    found = generate(decoder, memory, max_new_tokens=max_new_tokens, **FREE)
    for number in range(len(LENGTHS)):
        tokens, score = naive_greedy(decoder, row(memory, number), max_new_tokens)
        assert unpadded(found.tokens[number, 0]) == tokens
        assert float(found.scores[number, 0]) == pytest.approx(score, abs=1e-4)
    sentences = {tuple(sentence) for sentence in found.tokens[:, 0].tolist()}
    assert len(sentences) >= {1: 1, 4: 2, 15: len(LENGTHS)}[max_new_tokens]


@pytest.mark.parametrize("num_beams", [1, 4])
def test_score_is_the_mean_log_probability_of_what_was_generated(
    decoder: BartDecoder, memory: Difference, num_beams: int
) -> None:
    found = generate(decoder, memory, num_beams=num_beams, num_captions=min(2, num_beams))
    for number in range(len(LENGTHS)):
        for tokens, score in zip(found.tokens[number], found.scores[number], strict=True):
            sentence = unpadded(tokens)
            each = [
                float(next_log_probs(decoder, row(memory, number), sentence[:at])[sentence[at]])
                for at in range(1, len(sentence))
            ]
            assert float(score) == pytest.approx(sum(each) / len(each), abs=1e-4)


@pytest.mark.parametrize("num_beams", [1, 4])
def test_padding_changes_neither_tokens_nor_scores(
    decoder: BartDecoder, memory: Difference, num_beams: int
) -> None:
    options = {"num_beams": num_beams, "num_captions": num_beams}
    batch = generate(decoder, memory, **options)
    for number in range(len(LENGTHS)):
        alone = generate(decoder, row(memory, number), **options)
        assert list(map(unpadded, batch.tokens[number])) == list(map(unpadded, alone.tokens[0]))
        torch.testing.assert_close(batch.scores[number], alone.scores[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("max_new_tokens", [1, 2, 5, 9])
def test_max_new_tokens_counts_the_last_token_and_not_the_first(
    decoder: BartDecoder, memory: Difference, num_beams: int, max_new_tokens: int
) -> None:
    found = generate(
        decoder,
        memory,
        num_beams=num_beams,
        num_captions=num_beams,
        max_new_tokens=max_new_tokens,
        min_length=100,
    )
    for tokens in found.tokens.flatten(0, 1):
        sentence = unpadded(tokens)
        assert sentence[0] == BOS
        assert BOS not in sentence[1:]
        assert len(sentence) - 1 == max_new_tokens


@pytest.mark.parametrize("num_beams", [1, 3])
def test_min_length_counts_start_and_first_token(
    make_model: Callable[..., CaptionerModel], memory: Difference, num_beams: int
) -> None:
    hasty = make_model().decoder
    hasty.bart.final_logits_bias[:, EOS] = 50
    for min_length, length in ((0, 2), (3, 3), (9, 9)):
        found = generate(hasty, memory, num_beams=num_beams, min_length=min_length)
        assert {len(unpadded(tokens)) for tokens in found.tokens[:, 0]} == {length}


def longest(decoder: BartDecoder, memory: Difference, **options: Any) -> list[list[int]]:
    """The best sentence of each clip, none of which ends before its 20 tokens."""
    found = generate(decoder, memory, min_length=100, max_new_tokens=20, **options)
    return [unpadded(tokens) for tokens in found.tokens[:, 0]]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_no_ngram_is_repeated(decoder: BartDecoder, memory: Difference, num_beams: int) -> None:
    def any_repeats(size: int) -> bool:
        said = longest(decoder, memory, num_beams=num_beams, no_repeat_ngram_size=size)
        return any(repeats(tokens, 2) for tokens in said)

    assert any_repeats(0)
    assert not any_repeats(2)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_no_token_comes_again_at_once(
    decoder: BartDecoder, memory: Difference, num_beams: int
) -> None:
    def nearest(window: int) -> int:
        return min(
            later - earlier
            for said in longest(decoder, memory, num_beams=num_beams, no_repeat_window=window)
            for earlier, later in combinations(range(len(said) - 1), 2)
            if said[earlier] == said[later]
        )

    assert nearest(0) == 1
    assert nearest(2) == 3


def test_best_captions_of_two_tokens_are_the_most_likely_ones(
    decoder: BartDecoder, memory: Difference
) -> None:
    found = generate(decoder, memory, num_beams=4, num_captions=4, max_new_tokens=2, min_length=100)
    for number in range(len(LENGTHS)):
        each = next_log_probs(decoder, row(memory, number), [BOS])
        each[EOS] = -torch.inf
        assert found.tokens[number, :, 1].tolist() == each.topk(4).indices.tolist()


def test_alternatives_are_distinct_and_in_the_order_of_the_search(
    decoder: BartDecoder, memory: Difference
) -> None:
    found = generate(decoder, memory, num_beams=4, num_captions=4, max_new_tokens=30, **FREE)
    assert found.tokens.shape[:2] == found.scores.shape == (len(LENGTHS), 4)
    compared = 0
    for tokens, scores in zip(found.tokens, found.scores, strict=True):
        sentences = list(map(unpadded, tokens))
        assert len(set(map(tuple, sentences))) == 4
        # Beam search divides a sentence's log-probability by its length, first token included,
        # and counts a forced end as certain.
        ranked = [
            float(score) * (len(sentence) - 1) / len(sentence)
            for score, sentence in zip(scores, sentences, strict=True)
            if len(sentence) < 31
        ]
        compared += len(ranked)
        assert all(a >= b - 1e-4 for a, b in pairwise(ranked))
    assert compared > 8


def test_first_alternative_is_the_one_caption(decoder: BartDecoder, memory: Difference) -> None:
    several = generate(decoder, memory, num_beams=4, num_captions=3)
    one = generate(decoder, memory, num_beams=4)
    torch.testing.assert_close(several.scores[:, :1], one.scores, rtol=0, atol=1e-4)
    for number in range(len(LENGTHS)):
        assert unpadded(several.tokens[number, 0]) == unpadded(one.tokens[number, 0])


# Drawing -----------------------------------------------------------------------------------------


def test_captions_are_drawn_as_often_as_they_are_likely(
    decoder: BartDecoder, make_memory: MakeMemory
) -> None:
    torch.manual_seed(0)
    memory = make_memory(6)
    drawn = decoder.sample(memory, 4000, 2)[0]
    assert drawn.shape == (4000, 3)
    assert (drawn[:, 0] == BOS).all()
    likely = next_log_probs(decoder, memory, [BOS]).exp()
    often = torch.bincount(drawn[:, 1], minlength=len(likely)) / len(drawn)
    assert (often - likely).abs().max() < 0.03
    first = int(often.argmax())
    then = drawn[drawn[:, 1] == first, 2]
    likely = next_log_probs(decoder, memory, [BOS, first]).exp()
    often = torch.bincount(then, minlength=len(likely)) / len(then)
    assert (often - likely).abs().max() < 0.05


def test_a_drawn_caption_ends_once(decoder: BartDecoder, memory: Difference) -> None:
    torch.manual_seed(1)
    decoder = deepcopy(decoder)
    decoder.bart.final_logits_bias[0, EOS] += 4.0
    drawn = decoder.sample(memory, 8, 12)
    assert drawn.shape[:2] == (len(LENGTHS), 8)
    assert drawn.shape[2] <= 13
    ended = (drawn == EOS).sum(dim=2)
    assert ended.max() == 1
    after = (drawn == EOS).cumsum(dim=2) - (drawn == EOS).long()
    assert ((drawn == PAD) == (after > 0)).all()


def test_drawing_pays_no_heed_to_padding(decoder: BartDecoder, make_memory: MakeMemory) -> None:
    one, other = make_memory(*LENGTHS), make_memory(*LENGTHS, garbage=-7.0)
    torch.manual_seed(2)
    first = decoder.sample(one, 4, 8)
    torch.manual_seed(2)
    assert torch.equal(decoder.sample(other, 4, 8), first)
