"""Similarity-discrepancy disentanglement: its losses' limits, and whom their gradients reach."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, LogMelConfig
from model.difference import Concentrated
from model.types import Encoded
from training.losses.disentangling import Disentangling, Embedding, cosine, info_nce

HALF = 8


@pytest.fixture
def captioner() -> CaptionerModel:
    torch.manual_seed(0)
    config = CaptionerConfig(
        encoder=Cnn14Config(
            front_end=LogMelConfig(sample_rate=8000, window=100, hop=50, n_fft=128, mels=8),
            widths=(3, 4, 6),
            pools=((2, 2), (2, 2), (1, 2)),
            dropout=0.1,
        ),
        difference={
            "name": "concentrated", "memory": 2 * HALF, "heads": 2, "ffn": 12, "bands": 3,
            "dropout": 0.0,
        },
        decoder=BartDecoderConfig(
            vocab_size=20, width=2 * HALF, layers=1, heads=2, ffn=16, max_positions=256
        ),
    )  # fmt: skip
    model = CaptionerModel(config)
    model.encoder.requires_grad_(False)
    return model


def batch() -> dict[str, Tensor]:
    """Three pairs of noise of other lengths, and what is said of them both ways."""
    generator = torch.Generator().manual_seed(1)
    clips = [[torch.randn(n, generator=generator) for n in sizes]
             for sizes in ((1600, 900, 2400), (1200, 1700, 800))]  # fmt: skip
    return {
        "inputs": pad_sequence(clips[0], batch_first=True),
        "lengths": torch.tensor([len(clip) for clip in clips[0]]),
        "references": pad_sequence(clips[1], batch_first=True),
        "reference_lengths": torch.tensor([len(clip) for clip in clips[1]]),
        "reference_of": torch.arange(3),
        "tokens": torch.tensor([[0, 5, 6, 2], [0, 7, 2, 1], [0, 8, 9, 2]]),
        "inverse_tokens": torch.tensor([[0, 9, 2, 1], [0, 6, 5, 2], [0, 5, 2, 1]]),
    }


def test_info_nce_tends_to_nothing_where_pairs_are_alike_and_others_are_not() -> None:
    apart = torch.eye(6)
    assert info_nce(apart, 3 * apart, 0.07) < 1e-4
    assert info_nce(apart, apart.roll(1, dims=0), 0.07) > 10
    same = torch.ones(6, 4)
    assert info_nce(same, same, 0.07).item() == pytest.approx(torch.tensor(6.0).log().item())


def test_the_cosine_is_that_of_each_pair_alone() -> None:
    ones, others = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[2.0, 0], [0, 3]])
    assert cosine(ones, others).item() == pytest.approx(0.5)
    assert cosine(ones, -ones).item() == pytest.approx(-1)


def test_an_embedding_hears_no_padding() -> None:
    embed = Embedding(4, 5)
    frames = torch.randn(2, 6, 4)
    mask = torch.arange(6) < torch.tensor([[6], [3]])
    together = embed(frames, mask)
    assert together.shape == (2, 10)
    alone = embed(frames[1:, :3], mask[1:, :3])
    torch.testing.assert_close(together[1], alone[0])


@pytest.mark.parametrize("when", ["early", "late"])
def test_each_loss_reaches_its_half_alone(captioner: CaptionerModel, when: str) -> None:
    loss = Disentangling(captioner, when=when, hidden=6)
    frames = torch.randn(2, 3, 5, 2 * HALF, requires_grad=True)
    mask = torch.ones(3, 5, dtype=torch.bool)
    clips = [Encoded(one, mask) for one in frames]
    own: dict[str, Callable[[Tensor], Tensor]] = {
        "similar": lambda x: x[..., :HALF],
        "discrepant": lambda x: x[..., HALF:],
    }
    for name, part in own.items():
        one, other = (getattr(loss, name)(part(clip.frames), clip.mask) for clip in clips)
        reached = torch.autograd.grad(cosine(one, other), frames)[0]
        other_part = own["discrepant" if name == "similar" else "similar"]
        assert part(reached).abs().min() > 0
        assert other_part(reached).eq(0).all()
    both = torch.autograd.grad(loss._apart(*clips), frames)[0]
    assert both.abs().amin() > 0


@pytest.mark.parametrize("when", ["early", "late"])
def test_early_reaches_what_enters_the_block_and_late_what_leaves_it(
    captioner: CaptionerModel, when: str
) -> None:
    loss = Disentangling(captioner, when=when, weight=1.0, hidden=6)
    loss._told = lambda *_: torch.zeros(())  # type: ignore[method-assign]
    loss(**batch())["loss"].backward()
    block = captioner.difference
    assert isinstance(block, Concentrated)
    assert block.project.weight.grad is not None
    assert (block.layers[0].fc1.weight.grad is None) == (when == "early")
    assert all(one.grad is None for one in captioner.encoder.parameters())


def test_without_it_the_loss_is_of_both_directions(captioner: CaptionerModel) -> None:
    plain = Disentangling(captioner, when=None).eval()
    both = plain(**batch())["loss"]
    there = {**batch(), "inverse_tokens": batch()["tokens"]}
    swapped = {
        **batch(),
        "inputs": batch()["references"],
        "lengths": batch()["reference_lengths"],
        "references": batch()["inputs"],
        "reference_lengths": batch()["lengths"],
        "tokens": batch()["inverse_tokens"],
        "inverse_tokens": batch()["tokens"],
    }
    torch.testing.assert_close(plain(**swapped)["loss"], both)
    assert not torch.isclose(plain(**there)["loss"], both)


def test_the_loss_learns(captioner: CaptionerModel) -> None:
    loss = Disentangling(captioner, weight=0.1, hidden=6)
    learned = [one for one in loss.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=0.01)
    found = []
    for _ in range(60):
        optimizer.zero_grad()
        told = loss(**batch())["loss"]
        told.backward()
        optimizer.step()
        found.append(told.item())
    assert found[-1] < found[0] / 2
