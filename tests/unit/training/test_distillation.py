"""Distillation's losses, and sentences from events: written out, and learned from."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.adapters import ADAPTERS
from model.captioner import CaptionerModel
from model.contracts import Parts
from model.events import Events, Head
from training.losses import Differing, Hearing, Telling
from training.losses.distillation import distance, opinions, smooth_max

KINDS = 5
SAMPLES = 15_500
"""12 frames of the tiny encoder: two windows."""


def noise(seed: int, clips: int = 2) -> Tensor:
    return 0.3 * torch.randn(clips, SAMPLES, generator=torch.Generator().manual_seed(seed))


def said(clips: int = 2) -> dict[str, Tensor]:
    """What a teacher may say, in half precision."""
    generator = torch.Generator().manual_seed(5)
    return {
        "clip": torch.rand(clips, KINDS, generator=generator).half(),
        "windows": torch.rand(clips, 2, KINDS, generator=generator).half(),
    }


def lowers(loss: nn.Module, batch: dict[str, Tensor], trainable: Any) -> None:
    """Two steps lower the loss, and what is frozen stays as it is."""
    for name, parameter in loss.named_parameters():
        parameter.requires_grad_(trainable(name))
    frozen = {n: p.clone() for n, p in loss.named_parameters() if not p.requires_grad}
    learned = [p for p in loss.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=2e-2)
    before = loss.eval()(**batch)["loss"].item()
    loss.train()
    for _ in range(2):
        optimizer.zero_grad()
        loss(**batch)["loss"].backward()
        optimizer.step()
    assert loss.eval()(**batch)["loss"].item() < before
    assert all(torch.equal(loss.get_parameter(n), p) for n, p in frozen.items())


@pytest.fixture
def head(captioner: CaptionerModel) -> Head:
    torch.manual_seed(0)
    return Head(width=captioner.encoder.width, hidden=6, kinds=KINDS)


# Opinions ----------------------------------------------------------------------------------------


def test_a_smooth_maximum_lies_between_mean_and_maximum() -> None:
    logits = torch.tensor([[0.0, 4.0], [-1.0, 2.0], [3.0, 2.0]])
    found = smooth_max(logits, 0)
    assert found[0].item() == pytest.approx(math.log((1 + math.exp(-1) + math.exp(3)) / 3))
    assert (logits.mean(0) < found).all()
    assert (found < logits.amax(0)).all()
    assert smooth_max(torch.full((7, 1), 1.5), 0).item() == pytest.approx(1.5)


def test_opinions_written_out() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 12, 2, generator=generator)
    clip, windows = torch.tensor([[0.7, 0.1]]), torch.tensor([[[0.9, 0.2], [0.3, 0.4]]])
    weights = torch.tensor([[1.0, 0.0]])

    def entropy(part: Tensor, target: float) -> float:
        p = 1 / (1 + math.exp(-math.log(part.exp().mean())))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    first = [entropy(logits[0, :6, k], [0.9, 0.2][k]) for k in range(2)]
    second = [entropy(logits[0, 6:, k], [0.3, 0.4][k]) for k in range(2)]
    whole = [entropy(logits[0, :, k], [0.7, 0.1][k]) for k in range(2)]
    expected = [(a + b) / 2 + c / 2 for a, b, c in zip(first, second, whole, strict=True)]
    found = opinions(logits, clip, windows)
    assert found.item() == pytest.approx(sum(expected), rel=1e-4)
    weighted = opinions(logits, clip, windows, weights)
    assert weighted.item() == pytest.approx(expected[0], rel=1e-4)


def test_what_is_left_out_teaches_nothing() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    distance(logits, torch.ones(1, 3), torch.tensor([[1.0, 0.0, 1.0]])).backward()
    assert logits.grad is not None
    assert logits.grad.ne(0).tolist() == [[True, False, True]]


# Learning ----------------------------------------------------------------------------------------


def test_a_student_learns_what_the_teacher_says(captioner: CaptionerModel, head: Head) -> None:
    loss = Hearing(captioner.encoder, head)
    features = torch.randn(2, 384, generator=torch.Generator().manual_seed(1)).half()
    batch = {"inputs": noise(0), "lengths": torch.full((2,), SAMPLES), **said()}
    lowers(loss, {**batch, "features": features}, lambda name: not name.startswith("encoder."))
    lowers(loss, {**batch, "features": features}, lambda _: True)


def pairs() -> dict[str, Tensor]:
    return {
        "inputs": noise(0),
        "lengths": torch.full((2,), SAMPLES),
        "references": noise(1)[:, : SAMPLES // 2],
        "reference_lengths": torch.full((2,), SAMPLES // 2),
        "reference_of": torch.arange(2),
        **said(),
        "weights": torch.ones(2, KINDS).half(),
    }


@pytest.fixture
def differing(captioner: CaptionerModel) -> Differing:
    torch.manual_seed(1)
    width = captioner.encoder.width
    labels = [str(kind) for kind in range(KINDS)]
    events = Events(width=width, memory=16, hidden=4, labels=labels)
    nn.init.constant_(events.head.fc2.bias, 1.0)  # there is something to be taken away
    events.head.requires_grad_(False)
    mask = type(captioner.difference)(width=events.width)
    adapter = ADAPTERS["none"](inputs=width, width=width)
    parts = Parts(captioner.encoder, adapter, mask, captioner.decoder, events)
    return Differing(CaptionerModel(captioner.config, parts))


def test_a_mask_learns_what_the_teacher_says_of_the_rest(differing: Differing) -> None:
    lowers(differing, pairs(), lambda name: ".difference." in name)


def test_of_nothing_left_there_is_no_event(differing: Differing) -> None:
    """And a loss that is all but none, where the teacher heard nothing."""
    nothing = pairs()
    for name in ("clip", "windows"):
        nothing[name] = torch.zeros_like(nothing[name])
    with torch.no_grad():
        differing.captioner.get_parameter("difference.value.bias").fill_(20)
        none = differing(**nothing)["loss"].item()
        differing.captioner.get_parameter("difference.value.bias").fill_(-20)
        all_of_it = differing(**nothing)["loss"].item()
    assert none < 0.01 < all_of_it


def test_sentences_are_learned_from_events_alone(captioner: CaptionerModel) -> None:
    torch.manual_seed(0)
    events = Events(width=8, memory=16, hidden=4, labels=[str(k) for k in range(KINDS)])
    nn.init.normal_(events.embed.weight, 0, 5)
    for parameter in captioner.decoder.parameters():  # so that events are felt
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0, 0.3)
    loss = Telling(events, captioner.decoder)
    batch = {
        "inputs": torch.rand(2, 7, KINDS),
        "lengths": torch.tensor([7, 4]),
        "tokens": torch.tensor([[0, 7, 9, 2, 1], [0, 8, 5, 6, 2]]),
        "compared": torch.tensor([True, False]),
    }
    told = ("decoder.", "events.embed", "events.compared")
    lowers(loss, batch, lambda name: name.startswith(told))
    before = loss.eval()(**batch)["loss"]
    batch["inputs"][1, 4:] = 0.9  # padding
    batch["tokens"] = torch.cat([batch["tokens"], torch.ones(2, 3, dtype=torch.long)], dim=1)
    torch.testing.assert_close(loss(**batch)["loss"], before)
    batch["inputs"][1, 0] = 0.9
    assert not torch.allclose(loss(**batch)["loss"], before)
