"""INSTRUCTOR's place is taken by any T5 encoder; here by one at random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from model.captioner import CaptionerModel
from model.config import TranslatorConfig
from tests.unit.training.test_twinned import fused
from training.captions.tokenizer import tokenize
from training.datasets.errors import DataError
from training.losses import Instructor, Twinned
from training.losses.instructor import INSTRUCTION

WORDS = [*INSTRUCTION.split(), *["a", "dog", "barks", "rain", "falls", "loudly"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=3 + len(WORDS), d_model=12, d_kv=6, d_ff=16, num_layers=1, num_heads=2
    )
    T5EncoderModel(config).save_pretrained(tmp_path)
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # type: ignore[call-arg]
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    words.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(tmp_path)
    return tmp_path


def test_a_caption_is_read_behind_the_instruction(
    folder: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    instructor = Instructor(folder, tokenizer).eval()
    told = ["a dog barks", "rain falls"]
    tokens = nn.utils.rnn.pad_sequence(
        [tokenize(tokenizer, text) for text in told], batch_first=True, padding_value=1
    )
    found = instructor.frames(tokens, 6)
    assert found.shape == (2, 6, 12)
    for text, frames in zip(told, found, strict=True):
        pieces = instructor.words(f"{INSTRUCTION} {text}", return_tensors="pt")
        states = instructor.encoder(**pieces).last_hidden_state[0, 4:]  # behind its four words
        torch.testing.assert_close(frames[: len(states)], states)
        assert not frames[len(states) :].any()
    torch.testing.assert_close(instructor.frames(tokens, 2), found[:, :2])


def test_a_twin_reads_through_it_and_it_does_not_learn(
    folder: Path, tokenizer: PreTrainedTokenizerFast, captioner: CaptionerModel
) -> None:
    small = TranslatorConfig(encoder_layers=1, decoder_layers=1, kernel=3)
    twinned = Twinned(fused(captioner, small), Instructor(folder, tokenizer))
    lengths = torch.full((2,), 8000)
    nothing = torch.zeros(0, dtype=torch.long)
    twinned(
        inputs=torch.randn(2, 8000), lengths=lengths, references=torch.zeros(0, 8000),
        reference_lengths=nothing, reference_of=nothing,
        tokens=torch.tensor([[0, 7, 8, 2], [0, 9, 2, 1]]),
    )["matching"].backward()  # fmt: skip
    assert twinned.project.weight.grad is not None
    assert all(parameter.grad is None for parameter in twinned.text.parameters())


def test_a_folder_without_it_is_named(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="holds no T5 encoder"):
        Instructor(tmp_path, tokenizer)
