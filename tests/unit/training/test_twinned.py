"""EDTC's twin: what each loss teaches, and what a merge leaves."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from model.config import CaptionerConfig, EdtcAdapterConfig, TranslatorConfig
from training.losses import Pairing, TextEncoder, Twinned
from training.losses.disentangling import info_nce
from training.recipes.edtc import cycles

WIDTH = 24


def fused(captioner: CaptionerModel, translator: TranslatorConfig | None) -> CaptionerModel:
    """The small captioner with its eight features as two streams."""
    own = captioner.config
    decoder = own.decoder.model_copy(update={"width": WIDTH})
    adapter = EdtcAdapterConfig(
        streams=(4, 4), window=8, heads=2, fuser_layers=1, translator=translator
    )
    torch.manual_seed(0)
    return CaptionerModel(CaptionerConfig(encoder=own.encoder, adapter=adapter, decoder=decoder))


def reader() -> TextEncoder:
    torch.manual_seed(1)
    return TextEncoder(vocab_size=100, width=WIDTH, layers=1, heads=2)


@pytest.fixture
def twinned(captioner: CaptionerModel) -> Twinned:
    small = TranslatorConfig(encoder_layers=1, decoder_layers=1, kernel=3)
    return Twinned(fused(captioner, small), reader())


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Four clips, of which the last has a reference."""
    generator = torch.Generator().manual_seed(2)
    return {
        "inputs": 0.3 * torch.randn(4, 8000, generator=generator),
        "lengths": torch.tensor([8000, 5000, 8000, 6000]),
        "references": 0.3 * torch.randn(1, 6000, generator=generator),
        "reference_lengths": torch.tensor([6000]),
        "reference_of": torch.tensor([3]),
        "tokens": torch.tensor([[0, 7, 8, 2], [0, 9, 2, 1], [0, 5, 6, 2], [0, 4, 2, 1]]),
    }


def test_both_copies_learn_and_the_text_encoder_does_not(
    twinned: Twinned, batch: dict[str, Tensor]
) -> None:
    found = twinned.eval()(**batch)
    torch.testing.assert_close(found["loss"], found["captioning"])
    found = twinned.train()(**batch)
    torch.testing.assert_close(found["loss"], found["captioning"] + found["matching"])
    found["matching"].backward()
    assert all(parameter.grad is not None for parameter in twinned.twin.encoder.parameters())
    assert all(parameter.grad is None for parameter in twinned.text.parameters())
    assert all(parameter.grad is None for parameter in twinned.captioner.decoder.parameters())
    twinned.zero_grad()
    twinned(**batch)["captioning"].backward()
    assert all(parameter.grad is None for parameter in twinned.twin.parameters())
    assert all(parameter.grad is not None for parameter in twinned.captioner.decoder.parameters())
    assert twinned.captioner.get_parameter("difference.query.weight").grad is not None


def test_a_difference_is_not_matched_with_its_caption(
    twinned: Twinned, batch: dict[str, Tensor]
) -> None:
    before = twinned.eval()(**batch)["matching"]
    changed = batch["tokens"].clone()
    changed[3] = torch.tensor([0, 11, 12, 2])
    torch.testing.assert_close(twinned(**batch | {"tokens": changed})["matching"], before)
    changed[0, 1] = 13
    assert (twinned(**batch | {"tokens": changed})["matching"] - before).abs() > 1e-5


def test_with_one_clip_there_is_nothing_to_match(
    twinned: Twinned, batch: dict[str, Tensor]
) -> None:
    rows = torch.arange(4)
    how = {"references": batch["inputs"], "reference_lengths": batch["lengths"],
           "reference_of": rows}  # fmt: skip
    found = twinned.eval()(**batch | how)
    assert float(found["matching"].detach()) == 0
    assert found["loss"].isfinite()


def test_a_merge_mixes_the_stepped_weights_and_makes_both_equal(twinned: Twinned) -> None:
    own = twinned.adapter.translator
    assert own is not None
    with torch.no_grad():
        for number, parameter in enumerate(twinned.twin.parameters()):
            parameter.add_(0.1 * (number + 1))
    first, second = deepcopy(own), deepcopy(twinned.twin)
    twinned.merge(beta=0.9)
    for mixed, twin, one, other in zip(
        own.parameters(),
        twinned.twin.parameters(),
        first.parameters(),
        second.parameters(),
        strict=True,
    ):
        assert torch.equal(mixed, twin)
        torch.testing.assert_close(mixed, 0.9 * one + 0.1 * other)


def test_without_translator_there_is_no_twin(captioner: CaptionerModel) -> None:
    with pytest.raises(ValueError, match="TRANSLATOR"):
        Twinned(fused(captioner, None), reader())


def test_contrast_at_its_limits() -> None:
    """Of n equal rows log n is lost, of n that are all their own, nothing."""
    temperature = 1 / torch.tensor(100.0)
    same = torch.ones(5, 4)
    assert float(info_nce(same, same, temperature)) == pytest.approx(torch.tensor(5.0).log().item())
    assert float(info_nce(torch.eye(5), torch.eye(5), temperature)) == pytest.approx(0, abs=1e-6)
    assert float(info_nce(torch.eye(5), torch.eye(5).flip(0), temperature)) > 50


def test_text_is_read_whatever_the_padding() -> None:
    text = reader().eval()
    tokens = torch.tensor([[0, 7, 8, 2]])
    padded = torch.tensor([[0, 7, 8, 2, 1, 1]])
    torch.testing.assert_close(text.frames(padded, 8), text.frames(tokens, 8))
    assert text.frames(tokens, 8).shape == (1, 8, WIDTH)
    assert not text.frames(tokens, 8)[:, 4:].any()
    torch.testing.assert_close(text.frames(tokens, 2), text.frames(tokens, 8)[:, :2])


def test_captions_of_a_clip_become_neighbours() -> None:
    pairing = Pairing(reader())
    one = torch.tensor([[0, 10 + n, 20 + n, 2] for n in range(6)])
    other = torch.tensor([[0, 20 + n, 30 + n, 40 + n, 2] for n in range(6)])
    optimizer = torch.optim.AdamW(pairing.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = pairing(tokens=one, other_tokens=other)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_the_rate_falls_rises_and_is_halved() -> None:
    assert cycles(0) == pytest.approx(1)
    assert cycles(0.1) == pytest.approx(0.1)
    assert cycles(0.19999) == pytest.approx(1, rel=0.01)
    assert cycles(0.2) == pytest.approx(0.5)
    assert cycles(0.5) == pytest.approx(0.25 * 0.1)
