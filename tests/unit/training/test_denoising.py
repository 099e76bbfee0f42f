"""BART's pretraining: captions of which tokens are missing, and the loss of writing them out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.decoders import BartDecoder
from model.types import Difference
from training.captions.tokenizer import tokenize
from training.losses import Denoising
from training.samples.collate import collate
from training.samples.deleted import LEAST, MOST, Deleted

CAPTIONS = [
    "a dog barks while a bell rings and the rain falls on a tin roof in the distance",
    "a man speaks as a car passes by and birds sing in the trees of a quiet park",
]


def deleted(tokenizer: PreTrainedTokenizerFast, index: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    sample = Deleted(CAPTIONS, tokenizer, seed=seed)[index]
    tokens, left = sample["tokens"], sample["left_tokens"]
    assert tokens is not None
    assert left is not None
    return tokens, left


def test_what_is_left_is_the_caption_in_order_without_some_tokens(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    whole = [tokenize(tokenizer, caption).tolist() for caption in CAPTIONS]
    shares, seen = [], set()
    for index in range(300):
        tokens, left = (each.tolist() for each in deleted(tokenizer, index))
        seen.add(whole.index(tokens))
        rest = iter(tokens)
        assert all(token in rest for token in left), "an ordered part of it"
        assert (left[0], left[-1]) == (tokens[0], tokens[-1])
        shares.append(1 - (len(left) - 2) / (len(tokens) - 2))
    assert seen == {0, 1}
    assert abs(float(np.mean(shares)) - (LEAST + MOST) / 2) < 0.05
    assert min(shares) < 0.2
    assert max(shares) > 0.85


def test_a_sample_is_a_function_of_seed_and_index(tokenizer: PreTrainedTokenizerFast) -> None:
    first = deleted(tokenizer, 3)[1]
    assert torch.equal(first, deleted(tokenizer, 3)[1])
    others = [deleted(tokenizer, 4)[1], deleted(tokenizer, 3, seed=1)[1]]
    assert not any(torch.equal(first, other) for other in others)


@torch.no_grad()
def test_the_loss_is_that_of_captions_given_the_embeddings_of_what_is_left(
    captioner: CaptionerModel,
) -> None:
    decoder = captioner.decoder.eval()
    assert isinstance(decoder, BartDecoder)
    tokens = torch.tensor([[0, 7, 9, 2, 1], [0, 8, 5, 6, 2]])
    left = torch.tensor([[0, 9, 2, 1], [0, 8, 6, 2]])
    loss = Denoising(decoder)(tokens, left)["loss"]
    said = []
    for row, length in ((0, 4), (1, 5)):
        memory = decoder.bart.model.shared.weight[left[row][left[row] != 1]][None]
        whole = torch.ones(memory.shape[:2], dtype=torch.bool)
        one = tokens[row : row + 1, :length]
        logits = decoder(Difference(memory, whole, None), one).log_softmax(-1)
        said += [float(logits[0, place, token]) for place, token in enumerate(one[0])]
    torch.testing.assert_close(float(loss), -float(np.mean(said)))


def test_it_learns_to_read_what_is_left(
    captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Two captions that begin alike are told apart by what memory holds of them."""
    decoder = captioner.decoder
    assert isinstance(decoder, BartDecoder)
    told = ["a dog barks", "a bell rings"]
    samples = Deleted(told, tokenizer, seed=0)
    denoising = Denoising(decoder)
    optimizer = torch.optim.AdamW(denoising.parameters(), 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        batch = collate([samples[8 * step + n] for n in range(8)])
        denoising(**batch)["loss"].backward()
        optimizer.step()
    denoising.eval()
    whole = [tokenize(tokenizer, caption) for caption in told]

    @torch.no_grad()
    def loss(left: list[Tensor]) -> float:
        pairs = zip(whole, left, strict=True)
        batch = collate([{"tokens": one, "left_tokens": rest} for one, rest in pairs])
        return float(denoising(**batch)["loss"])

    assert loss(whole) < 0.5 * loss(whole[::-1])
