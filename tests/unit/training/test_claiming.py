"""What captions are worth, and a decoder that learns to say what is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from model.decoders import BartDecoder
from model.events import Events
from training.captions.naming import Labels
from training.captions.ontology import EVENTS
from training.captions.tokenizer import tokenize, train_tokenizer
from training.losses import Claiming, Worth
from training.losses.claiming import DRAWS, FALSE, UNTOLD

CAPTIONS = ("a dog barks", "rain falls", "a dog barks as rain falls", "silence")
DOG: Labels = ("Bark", "Dog")


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([*CAPTIONS] * 3, 300)


@pytest.fixture
def worth(tokenizer: PreTrainedTokenizerFast) -> Worth:
    return Worth(tokenizer, EVENTS)


@pytest.fixture
def claiming(worth: Worth, tokenizer: PreTrainedTokenizerFast) -> Claiming:
    """A small decoder that has learnt nothing."""
    torch.manual_seed(0)
    decoder = BartDecoder(
        vocab_size=len(tokenizer), width=32, layers=1, heads=2, ffn=32, dropout=0.0,
        max_positions=64, bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return Claiming(Events(width=4, memory=32, hidden=4, labels=EVENTS), decoder, worth)


def kinds(*labels: str) -> Tensor:
    """[K] bool."""
    return torch.tensor([label in labels for label in EVENTS])


@pytest.mark.parametrize(
    ("caption", "wanted", "heard", "value"),
    [
        ("a dog barks", (DOG,), (), 1),
        ("a dog barks", (DOG, ("Rain",)), (), 1),
        ("a dog barks as rain falls", (DOG, ("Rain",)), (), 2),
        ("a dog barks as rain falls", (DOG,), (), 1 - FALSE),
        # What the teacher hears is hardly false, nor what is said of it in other words.
        ("a dog barks as rain falls", (DOG,), ("Rain",), 1 - UNTOLD),
        ("a dog barks as rain falls", (DOG,), ("Raindrop",), 1 - UNTOLD),
        # An animal is not wrong, but not enough.
        ("an animal makes noise", (DOG,), (), 0),
        ("a faint noise", (DOG,), (), 0),
        # Nothing is there.
        ("silence", (), (), 1),
        ("rain falls", (), (), -FALSE),
        # Nobody knows what is there, but something is.
        ("silence", (), ("Rain",), 0),
        ("rain falls", (), ("Rain",), -UNTOLD),
    ],
)
def test_a_caption_is_worth_what_is_so(
    worth: Worth, caption: str, wanted: tuple[Labels, ...], heard: Labels, value: float
) -> None:
    assert worth.of(caption, wanted, heard, compared=True) == pytest.approx(value)
    assert worth.of(caption, wanted, heard, compared=False) == pytest.approx(value)


def test_a_clip_alone_differs_from_nothing(worth: Worth) -> None:
    assert worth.of("there is no difference", (), (), compared=True) == 1
    assert worth.of("there is no difference", (), (), compared=False) == -FALSE


def test_tokens_are_worth_what_their_captions_are(
    worth: Worth, tokenizer: PreTrainedTokenizerFast
) -> None:
    told = [tokenize(tokenizer, caption) for caption in CAPTIONS]
    captions = torch.nn.utils.rnn.pad_sequence(told, batch_first=True, padding_value=1)
    wanted = torch.stack([torch.stack([kinds(*DOG), kinds()]), torch.stack([kinds(), kinds()])])
    heard = torch.stack([0.3 * kinds("Rain"), 0.2 * kinds("Rain")])
    found = worth(captions.expand(2, -1, -1), wanted, heard, torch.tensor([True, False]))
    assert found[0].tolist() == pytest.approx([1, -UNTOLD, 1 - UNTOLD, 0])
    assert found[1].tolist() == pytest.approx([-FALSE, -FALSE, -2 * FALSE, 1])


def test_a_decoder_learns_to_claim_what_is_there(
    claiming: Claiming, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Of four captions each as likely: the dog's where a dog is heard, silence where nothing is."""
    claiming.events.head.requires_grad_(False)
    batch = {
        "inputs": torch.stack([0.9 * kinds(*DOG), torch.zeros(len(EVENTS))] * 4)[:, None],
        "lengths": torch.ones(8, dtype=torch.long),
        "compared": torch.zeros(8, dtype=torch.bool),
        "wanted": torch.stack([kinds(*DOG), kinds()] * 4)[:, None],
        "heard": torch.stack([0.9 * kinds(*DOG), 0.0 * kinds()] * 4),
        "scene": torch.tensor([True] * 4 + [False] * 4),
        "tokens": torch.nn.utils.rnn.pad_sequence(
            [tokenize(tokenizer, CAPTIONS[row % 4]) for row in range(8)],
            batch_first=True, padding_value=1,
        ),
    }  # fmt: skip
    optimizer = torch.optim.Adam([p for p in claiming.parameters() if p.requires_grad], lr=3e-3)
    earned = []
    for _ in range(250):
        found = claiming(**batch)
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        earned.append(found["worth"].item())
    assert sum(earned[-30:]) / 30 > 0.8 > 0.5 > sum(earned[:30]) / 30


def test_what_a_sentence_wants_is_not_asked(
    claiming: Claiming, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentences alone have tokens, scenes alone are drawn of."""
    asked: list[tuple[int, ...]] = []

    def once(captions: Tensor, wanted: Tensor, heard: Tensor, compared: Tensor) -> Tensor:
        asked.append((*captions.shape[:2], len(wanted), len(heard)))
        assert compared.tolist() == [True, False]
        return torch.zeros(captions.shape[:2])

    monkeypatch.setattr(claiming, "worth", once)
    told = tokenize(tokenizer, "rain falls")
    batch = {
        "inputs": torch.rand(3, 5, len(EVENTS)),
        "lengths": torch.tensor([5, 3, 5]),
        "compared": torch.tensor([True, False, False]),
        "wanted": torch.zeros(3, 1, len(EVENTS), dtype=torch.bool),
        "heard": torch.zeros(3, len(EVENTS)),
        "scene": torch.tensor([True, False, True]),
        "tokens": torch.stack([torch.ones_like(told), told, torch.ones_like(told)]),
    }
    loss = claiming(**batch)["loss"]
    assert asked == [(2, DRAWS, 2, 2)]
    # All draws are worth the same: nothing is learned of them, and the sentence's loss is left.
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in claiming.named_parameters() if p.grad is not None}
    claiming.zero_grad()
    batch["inputs"][0] = torch.rand(5, len(EVENTS))
    claiming(**batch)["loss"].backward()
    for name, gradient in gradients.items():
        torch.testing.assert_close(claiming.get_parameter(name).grad, gradient)
