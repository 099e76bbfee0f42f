"""The loss of captions, and what learns from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from model.captioner import CaptionerModel
from training.losses import Captioning

SAMPLES = 6400


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TRAINABLE = ("adapter.", "difference.", "decoder.")


@pytest.fixture
def captioning(captioner: CaptionerModel) -> Captioning:
    captioner.encoder.requires_grad_(False)
    return Captioning(captioner)


def batch(rows: tuple[int, ...] = (1,), clips: int = 2) -> dict[str, Tensor]:
    """Clips of noise, references for some of them, captions of three and four tokens."""
    return {
        "inputs": noise(clips, SAMPLES),
        "lengths": torch.full((clips,), SAMPLES),
        "tokens": torch.tensor([[0, 7, 9, 2, 1], [0, 8, 5, 6, 2]])[:clips],
        "references": noise(len(rows), SAMPLES, seed=1),
        "reference_lengths": torch.full((len(rows),), SAMPLES),
        "reference_of": torch.tensor(rows, dtype=torch.long),
    }


def test_captioning_loss_is_the_mean_over_tokens_without_padding(captioning: Captioning) -> None:
    captioning.eval()
    inputs = batch()
    log_p = captioning.captioner(
        inputs["inputs"],
        inputs["lengths"],
        inputs["tokens"],
        inputs["references"],
        inputs["reference_lengths"],
        inputs["reference_of"],
    ).log_softmax(-1)
    said = [
        log_p[row, place, token].item()
        for row, caption in enumerate(inputs["tokens"].tolist())
        for place, token in enumerate(caption)
        if token != 1
    ]
    assert len(said) == 9
    assert captioning(**inputs)["loss"].item() == pytest.approx(-sum(said) / 9, rel=1e-5)


def test_more_padding_changes_nothing(captioning: Captioning) -> None:
    captioning.eval()
    inputs = batch()
    before = captioning(**inputs)["loss"]
    padding = torch.ones(2, 6, dtype=torch.long)
    inputs["tokens"] = torch.cat([inputs["tokens"], padding], dim=1)
    assert captioning(**inputs)["loss"].item() == pytest.approx(before.item(), rel=1e-5)


def test_the_encoder_stays_in_eval_mode_also_where_it_learns(captioning: Captioning) -> None:
    captioning.eval().train()
    parts = dict(captioning.captioner.named_children())
    assert captioning.training
    assert not any(module.training for module in parts["encoder"].modules())
    assert all(module.training for module in parts["adapter"].modules())
    assert all(module.training for module in parts["decoder"].modules())
    parts["encoder"].requires_grad_(True)
    captioning.train()
    assert not any(module.training for module in parts["encoder"].modules())
    assert not any(module.training for module in captioning.eval().modules())


def test_a_step_trains_all_but_the_encoder(captioning: Captioning) -> None:
    """The encoder keeps its weights and its BatchNorm statistics; every other weight moves."""
    model = captioning.captioner
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learned = [p for p in captioning.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-2, weight_decay=0.0)
    captioning.train()
    captioning(**batch())["loss"].backward()
    optimizer.step()
    after = model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.endswith("running_mean") for name in before)
    assert not [name for name in moved if name.startswith("encoder.")]
    weights = {name for name, _ in model.named_parameters() if name.startswith(TRAINABLE)}
    # A key's bias shifts all scores of a query alike: the softmax does not see it.
    invisible = {name for name in weights if name.endswith(("k_proj.bias", "key.bias"))}
    assert weights - invisible <= moved


def test_an_encoder_that_learns_keeps_its_batch_statistics(captioning: Captioning) -> None:
    model = captioning.captioner.requires_grad_(True)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    captioning.train()
    captioning(**batch())["loss"].backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    after = model.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name, _ in model.encoder.named_parameters()}


def difference_gradients(captioning: Captioning, inputs: dict[str, Any]) -> Tensor:
    """All the diff block's gradients, in a row."""
    captioning.eval()  # no dropout, so that two runs can be compared
    captioning.zero_grad()
    captioning(**inputs)["loss"].backward()
    weights = dict(captioning.captioner.difference.named_parameters())
    del weights["key.bias"]  # invisible
    assert all(weight.grad is not None for weight in weights.values())
    return torch.cat([weight.grad.flatten() for weight in weights.values()])


def test_only_samples_with_a_reference_teach_the_diff_block(captioning: Captioning) -> None:
    assert not difference_gradients(captioning, batch(rows=())).any()
    taught = difference_gradients(captioning, batch(rows=(1,)))
    assert taught.any()

    other_plain = batch(rows=(1,))
    other_plain["inputs"][0] = noise(SAMPLES, seed=5)
    assert torch.allclose(difference_gradients(captioning, other_plain), taught, atol=1e-7)

    other_pair = batch(rows=(1,))
    other_pair["inputs"][1] = noise(SAMPLES, seed=5)
    assert not torch.allclose(difference_gradients(captioning, other_pair), taught, atol=1e-7)
