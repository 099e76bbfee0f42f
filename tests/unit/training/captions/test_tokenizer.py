"""The captions' tokenizer: nothing is lost, and it means the same after saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from training.captions import grammar
from training.captions.tokenizer import MAX_TOKENS, SPECIAL, STYLES, tokenize, train_tokenizer
from training.captions.wording import normalize_caption

CAPTIONS = ("A dog barks, then rain falls.", "Church bells ring while a cat meows", "Zyx 123 über")


def ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    found: list[int] = tokenizer(text)["input_ids"]
    return found


def text(tokenizer: PreTrainedTokenizerFast, tokens: list[int]) -> str:
    decoded: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return decoded.strip()


@pytest.mark.parametrize("caption", [normalize_caption(caption) for caption in CAPTIONS])
def test_round_trip(tokenizer: PreTrainedTokenizerFast, caption: str) -> None:
    tokens = ids(tokenizer, caption)
    assert tokens[0] == 0
    assert tokens[-1] == 2
    assert 3 not in tokens, "bytes are always known"
    assert text(tokenizer, tokens) == caption


def test_the_special_tokens_have_barts_ids(tokenizer: PreTrainedTokenizerFast) -> None:
    assert SPECIAL == ("<s>", "<pad>", "</s>", "<unk>")
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3]
    assert (
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
        tokenizer.unk_token_id,
    ) == (0, 1, 2, 3)
    assert tokenizer.model_max_length == MAX_TOKENS


def test_the_vocabulary_is_learned_from_the_captions_and_no_larger() -> None:
    rng = np.random.default_rng(0)
    captions = grammar.captions([grammar.Event("dog", 0.0, 2.0)], rng, count=25)
    tokenizer = train_tokenizer(captions, 300)
    assert len(tokenizer) <= 300
    assert len(ids(tokenizer, "a dog barks")) < len(ids(tokenizer, "a fox yelps"))


def test_captions_are_normalized_before_they_are_learned() -> None:
    tokenizer = train_tokenizer(["A DOG, barks!"] * 10, 400)
    vocabulary = set(tokenizer.get_vocab())
    assert "Ġbarks" in vocabulary
    assert not [t for t in vocabulary if len(t) > 1 and "D" in t]
    assert not [t for t in vocabulary if len(t) > 1 and "!" in t]


def test_saved_and_loaded(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path, local_files_only=True)
    assert len(loaded) == len(tokenizer)
    assert loaded.pad_token_id == 1
    assert loaded.model_max_length == MAX_TOKENS
    for caption in map(normalize_caption, CAPTIONS):
        assert ids(loaded, caption) == ids(tokenizer, caption)
        assert text(loaded, ids(loaded, caption)) == caption


def test_a_style_has_a_token_of_its_own_that_is_not_said(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["a dog barks"] * 9, 300, [*STYLES])
    tokenizer.save_pretrained(tmp_path)
    again = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    for one in (tokenizer, again):
        plain, clotho = (tokenize(one, "A dog barks.", style) for style in STYLES)
        assert plain.tolist() == tokenize(one, "A dog barks.").tolist()
        assert plain[1:].tolist() == clotho[1:].tolist()
        assert (plain[0], clotho[0]) == (0, 4)
        assert one.decode(clotho, skip_special_tokens=True).strip() == "a dog barks"
