"""Events: what the decoder is told of the kinds of sound in a frame, and what not."""

from __future__ import annotations

import pytest
import torch

from model.config import hearing
from model.events import FAINT, SILENCE, Events
from model.types import Difference, Encoded

LABELS = ("Dog", SILENCE, "Rain")


@pytest.fixture
def events() -> Events:
    torch.manual_seed(0)
    events = Events(width=6, memory=8, hidden=5, labels=LABELS).eval()
    events.compared.normal_()
    return events


def clips(frames: int = 4) -> Encoded:
    """Of the second one only half is sound."""
    found = torch.randn(2, frames, 6, generator=torch.Generator().manual_seed(1))
    return Encoded(found, torch.tensor([frames, frames // 2])[:, None] > torch.arange(frames))


def left(events: Events) -> Difference:
    heard = events.hear(clips())
    return Difference(heard.frames * 0.9, heard.mask, None)


def test_events_are_heard_beside_the_features(events: Events) -> None:
    encoded = clips()
    heard = events.hear(encoded)
    assert heard.frames.shape == (2, 4, events.width)
    assert torch.equal(heard.frames[:, :, :6], encoded.frames)
    expected = events.head(encoded.frames).sigmoid()
    torch.testing.assert_close(events.probabilities(heard.frames)[0], expected[0])
    assert events.probabilities(heard.frames)[1].any(dim=1).tolist() == [True, True, False, False]


def test_what_a_mask_takes_of_a_root_it_takes_twice_of_the_event(events: Events) -> None:
    heard = events.hear(clips()).frames
    masked = events.probabilities(heard * torch.tensor([1.0] * 7 + [0.5, 0.0]))
    torch.testing.assert_close(masked, events.probabilities(heard) * torch.tensor([1.0, 0.25, 0.0]))


def test_memory_is_frames_and_events(events: Events) -> None:
    difference = left(events)
    found = events(difference, torch.tensor([False, True]))
    assert found.memory.shape == (2, 4, 8)
    assert found.events is not None
    assert torch.equal(found.events, events.probabilities(difference.memory))
    told = torch.where(found.events < FAINT, 0, found.events).sqrt() @ events.embed.weight.T
    expected = events.frames(difference.memory[:, :, :6]) + told
    torch.testing.assert_close(found.memory[0], expected[0])
    torch.testing.assert_close(found.memory[1], expected[1] + events.compared)


def test_faint_probabilities_are_left_out(events: Events) -> None:
    compared = torch.tensor([False])
    frames = torch.zeros(1, 2, 8)
    faint = torch.full((1, 2, 3), FAINT * 0.99)
    assert not events.memory(frames, faint, compared).any()
    assert events.memory(frames, faint + FAINT * 0.02, compared).all()


def test_a_kind_that_is_left_out_has_a_gradient_all_the_same(events: Events) -> None:
    """Of zero: a square root's is infinite there."""
    probabilities = torch.tensor([[[0.5, 0.0, 0.01]]], requires_grad=True)
    with torch.enable_grad():
        memory = events.memory(torch.zeros(1, 1, 8), probabilities, torch.tensor([True]))
        memory.sum().backward()
    assert probabilities.grad is not None
    assert probabilities.grad.isfinite().all()
    assert probabilities.grad[0, 0, 0] != 0
    assert not probabilities.grad[0, 0, 1:].any()


def test_silence_is_not_what_is_new(events: Events) -> None:
    with torch.no_grad():
        events.head.fc2.bias.copy_(torch.tensor([-1.0, 9.0, -2.0]))
    found = events(left(events), torch.tensor([True, True]))
    assert found.events is not None
    assert found.kept is not None
    assert torch.equal(found.kept, found.events[:, :, [0, 2]].amax(dim=2))
    assert found.kept[0].max() < found.events[0, :, 1].min()


def test_a_fresh_head_hears_next_to_nothing() -> None:
    fresh = Events(width=6, memory=8, hidden=5, labels=LABELS)
    assert fresh.probabilities(fresh.hear(clips()).frames).max() < 0.02


def test_the_bundled_size_has_events_of_its_labels() -> None:
    config = hearing(100, LABELS)
    assert config.events is not None
    assert config.events.labels == LABELS
    assert (config.encoder.name, config.adapter.name) == ("mobilenet", "none")
    assert config.decoder.vocab_size == 100
