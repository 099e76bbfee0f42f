"""Prefixes of two clips, what stands before GPT-2's words, and who reads along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from model.adapters import ProjectionAdapter
from model.decoders import Gpt2Decoder
from model.difference import Prefix
from model.types import Difference, Encoded, Sequences

MakeEncoded = Callable[..., Encoded]
INPUTS, REFERENCES = (5, 9, 1, 7), (11, 3, 6, 1)
WIDTH, MEMORY, TOKENS, PROMPT = 16, 8, 3, 2
EOS, PAD = 2, 1


def block(hears: Literal["clip", "frames"] = "frames", bands: int = 0) -> Prefix:
    torch.manual_seed(3)
    return Prefix(
        width=WIDTH, memory=MEMORY, tokens=TOKENS, layers=2, heads=2, hears=hears, bands=bands
    ).eval()


def decoder(**changed: Any) -> Gpt2Decoder:
    torch.manual_seed(4)
    sizes: dict[str, Any] = {
        "vocab_size": 30, "width": MEMORY, "layers": 2, "heads": 2, "max_positions": 40,
        "dropout": 0.0, "prompt_tokens": PROMPT, "mapper_layers": 1, "mapper_heads": 2,
        "cross_layers": 2, "cross_heads": 2, "separator_token_id": EOS, "pad_token_id": PAD,
        "eos_token_id": EOS,
    }  # fmt: skip
    made = Gpt2Decoder(**(sizes | changed)).eval()
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def generate(made: Gpt2Decoder, memory: Tensor, prompt: Tensor, **options: Any) -> Sequences:
    settings: dict[str, Any] = {
        "num_beams": 1, "num_captions": 1, "max_new_tokens": 12, "min_length": 0,
        "no_repeat_ngram_size": 0, "length_penalty": 1.0, "early_stopping": True,
    }  # fmt: skip
    told = Difference(memory, torch.ones_like(memory[..., 0]).bool(), None)
    return made.generate(told, prompt=prompt, **{**settings, **options})


@pytest.fixture
def pair(make_encoded: MakeEncoded) -> tuple[Encoded, Encoded]:
    """Inputs and references of other lengths, with garbage on the padding."""
    return make_encoded(*INPUTS, seed=1), make_encoded(*REFERENCES, seed=2)


def test_a_batch_is_what_each_pair_is_alone(pair: tuple[Encoded, Encoded]) -> None:
    whole = block()
    found = whole(*pair)
    assert found.memory.shape == (len(INPUTS), 2 * TOKENS, MEMORY)
    assert found.mask.all()
    singles = zip(*(clips.split() for clips in pair), strict=True)
    for row, (input_clip, reference) in enumerate(singles):
        alone = whole(input_clip, reference).memory[0]
        torch.testing.assert_close(found.memory[row], alone, rtol=1e-4, atol=1e-5)


def test_each_clip_has_a_mapper_of_its_own(pair: tuple[Encoded, Encoded]) -> None:
    whole = block()
    found, swapped = whole(*pair).memory, whole(*reversed(pair)).memory
    assert (found - swapped).abs().max() > 0.1
    assert (found[:, :TOKENS] - swapped[:, TOKENS:]).abs().max() > 0.1


def test_when_it_sounds_is_heard(make_encoded: MakeEncoded) -> None:
    clip = make_encoded(6, seed=1)
    backwards = Encoded(clip.frames.flip(1), clip.mask)
    assert (block()(clip, clip).memory - block()(backwards, clip).memory).abs().max() > 1e-3


def test_a_clip_may_be_one_vector_as_in_the_paper(make_encoded: MakeEncoded) -> None:
    one, other = make_encoded(1, 1, seed=1), make_encoded(1, 1, seed=2)
    whole = block("clip")
    assert whole.input.expand.out_features == TOKENS * MEMORY
    assert whole(one, other).memory.shape == (2, 2 * TOKENS, MEMORY)
    louder = Encoded(2 * one.frames, one.mask)
    assert (whole(one, other).memory - whole(louder, other).memory).abs().max() > 1e-3


def test_levels_are_heard_beside_the_frames(make_encoded: MakeEncoded) -> None:
    clip = make_encoded(4, seed=1)
    soft, loud = (
        Encoded(clip.frames, clip.mask, torch.full((1, 4, 2), level)) for level in (-1.0, 1.0)
    )
    whole = block(bands=2)
    assert (whole(soft, soft).memory - whole(loud, soft).memory).abs().max() > 1e-3


def test_what_another_checkpoint_hears_of_the_whole_clip_is_left_to_it(
    make_encoded: MakeEncoded,
) -> None:
    clip = make_encoded(4, seed=1)
    wide = torch.randn(1, 4, 6)
    narrow = block(bands=2)
    told, plain = (
        narrow(Encoded(clip.frames, clip.mask, levels), Encoded(clip.frames, clip.mask, wide))
        for levels in (wide, wide[:, :, :2])
    )
    assert torch.equal(told.memory, plain.memory)


def test_the_projection_is_of_length_1_and_adds_to_its_first_layer() -> None:
    torch.manual_seed(0)
    made = ProjectionAdapter(inputs=WIDTH, width=99, features=12, dropout=0.5).eval()
    frames = torch.randn(2, 1, WIDTH)
    first = frames @ made.linear1.weight.T
    both = first + torch.nn.functional.gelu(first) @ made.linear2.weight.T
    expected = made.norm(both) / made.norm(both).norm(dim=2, keepdim=True)
    found = made(Encoded(frames, torch.ones(2, 1).bool())).frames
    torch.testing.assert_close(found, expected)
    assert made.width == 12


@pytest.mark.parametrize("separator", [EOS, None])
def test_what_stands_before_the_words(separator: int | None) -> None:
    """Without cross-projection the clips, the separator's word and the prompt, as they are."""
    made = decoder(cross_layers=0, separator_token_id=separator)
    memory, prompt = torch.randn(2, 2 * TOKENS, MEMORY), torch.tensor([[3, 4], [5, 6]])
    words = made.gpt.transformer.wte.weight
    between = [] if separator is None else [words[EOS].expand(2, 1, -1)]
    expected = torch.cat(
        [memory[:, :TOKENS], *between, memory[:, TOKENS:], made.prompt(words[prompt])], dim=1
    )
    torch.testing.assert_close(made.prefix(memory, prompt), expected)


def test_in_cross_projection_the_clips_meet() -> None:
    made, prompt = decoder(), torch.tensor([[3, 4]])
    memory = torch.randn(1, 2 * TOKENS, MEMORY)
    other = memory.clone()
    other[:, TOKENS:] = torch.randn(1, TOKENS, MEMORY)
    apart = (made.prefix(memory, prompt) - made.prefix(other, prompt)).abs().amax(dim=2)
    assert (apart > 1e-4).all()


def test_what_stands_behind_the_end_changes_nothing() -> None:
    made, memory = decoder(), torch.randn(2, 2 * TOKENS, MEMORY)
    told = Difference(memory, torch.ones(2, 2 * TOKENS).bool(), None)
    prompt = torch.tensor([[3, 4], [5, 6]])
    tokens = torch.tensor([[5, 6, EOS, PAD, PAD], [7, 8, 9, 3, EOS]])
    other = torch.tensor([[5, 6, EOS, 9, 4], [7, 8, 9, 3, EOS]])
    found, same = made(told, tokens, prompt), made(told, other, prompt)
    torch.testing.assert_close(found[:, :3], same[:, :3])


def test_greedy_answers_follow_the_logits() -> None:
    made, memory, prompt = decoder(), torch.randn(3, 2 * TOKENS, MEMORY), torch.tensor([[3, 4]] * 3)
    told = Difference(memory, torch.ones(3, 2 * TOKENS).bool(), None)
    found = generate(made, memory, prompt)
    for row, length in enumerate(found.lengths[:, 0].tolist()):
        one = Difference(told.memory[row : row + 1], told.mask[row : row + 1], None)
        tokens = found.tokens[row, :, :length]
        expected = made(one, tokens, prompt[:1])[0].log_softmax(-1)
        chosen = expected.argmax(-1)
        chosen[-1:] = EOS  # forced at the limit
        assert chosen.equal(tokens[0])
        mean = expected.gather(1, tokens[0, :, None]).mean()
        assert float(found.scores[row, 0]) == pytest.approx(float(mean), abs=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
def test_prompts_and_clips_of_a_batch_do_not_mix(beams: int) -> None:
    made, memory = decoder(), torch.randn(4, 2 * TOKENS, MEMORY)
    prompt = torch.tensor([[3, 4], [5, 6], [7, 8], [9, 3]])
    found = generate(made, memory, prompt, num_beams=beams)
    for row in range(4):
        one = slice(row, row + 1)
        alone = generate(made, memory[one], prompt[one], num_beams=beams)
        length = int(alone.lengths[0, 0])
        assert found.tokens[row, 0, :length].equal(alone.tokens[0, 0, :length])
        assert found.scores[row, 0] == pytest.approx(float(alone.scores[0, 0]), abs=1e-4)


class Reader:
    """Reads along, and has enough of some clips after so many tokens."""

    def __init__(self, enough: dict[int, int]) -> None:
        self.enough = enough
        self.read: dict[int, list[list[int]]] = {}

    def __call__(self, rows: Sequence[int], tokens: Tensor) -> list[bool]:
        for row, each in zip(rows, tokens.tolist(), strict=True):
            self.read.setdefault(row, []).append(each)
        return [tokens.shape[1] < self.enough.get(row, 99) for row in rows]


def test_who_reads_along_sees_each_token_as_it_comes() -> None:
    made, memory = decoder(), torch.randn(4, 2 * TOKENS, MEMORY)
    prompt, reader = torch.tensor([[3, 4]] * 4), Reader({})
    expected = generate(made, memory, prompt)
    found = generate(made, memory, prompt, watch=reader)
    assert found.tokens.equal(expected.tokens)
    for row in range(4):
        whole = found.tokens[row, 0].tolist()
        for count, seen in enumerate(reader.read[row], 1):
            assert len(seen) == count
            assert seen == whole[:count]
        assert EOS in reader.read[row][-1]


def test_who_has_enough_is_searched_for_no_longer() -> None:
    made, memory = decoder(), torch.randn(4, 2 * TOKENS, MEMORY)
    prompt = torch.tensor([[3, 4]] * 4)
    expected = generate(made, memory, prompt, min_length=12)
    reader = Reader({0: 2, 2: 3, 3: 2})
    found = generate(made, memory, prompt, min_length=12, watch=reader)
    assert found.tokens[1].equal(expected.tokens[1])
    assert [len(reader.read[row]) for row in (0, 2)] < [12, 12]
    every = Reader(dict.fromkeys(range(4), 1))
    assert generate(made, memory, prompt, min_length=12, watch=every).lengths.tolist() == [[1]] * 4
    assert all(len(seen) == 1 for seen in every.read.values())


def test_with_beams_nobody_reads_along() -> None:
    made, reader = decoder(), Reader({})
    generate(made, torch.randn(1, 6, MEMORY), torch.tensor([[3]]), num_beams=2, watch=reader)
    assert not reader.read
