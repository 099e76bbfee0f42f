"""Samples out of kept frames: every clip once an epoch, the shares of a recipe, the same loss."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from training.datasets.recording import CaptionedClip, Recording
from training.losses import Captioning
from training.samples.collate import Sample, collate
from training.samples.features import Features
from training.samples.frames import FrameSamples, Heard, KeptFrames, RestSamples, without_encoder

Rendered = tuple[list[CaptionedClip], Features]


def samples(rendered: Rendered, tokenizer: PreTrainedTokenizerFast, **shares: Any) -> FrameSamples:
    none = {"condition": None, "reference_share": 0.0, "mixgen_share": 0.0}
    return FrameSamples(*rendered, tokenizer, seed=0, **(none | shares))


def test_an_epoch_has_every_clip_once_in_an_order_of_its_own(
    rendered: Rendered, tokenizer: PreTrainedTokenizerFast
) -> None:
    _, found = rendered
    data = samples(rendered, tokenizer)
    epochs = [
        [data[index]["input"].numpy().tobytes() for index in range(start, start + 4)]
        for start in range(0, 12, 4)
    ]
    whole = {found.tensor(number).numpy().tobytes() for number in found.clips}
    assert all({*epoch} == whole for epoch in epochs)
    assert any(one != other for one, other in pairwise(epochs))
    assert all(data[index]["reference"] is None for index in range(12))


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_the_share_of_mixtures(
    rendered: Rendered, tokenizer: PreTrainedTokenizerFast, share: float
) -> None:
    data = samples(rendered, tokenizer, condition="same/diff", reference_share=share)
    hits = [data[index]["reference"] is not None for index in range(400)]
    assert np.mean(hits) == pytest.approx(share, abs=0.08)


def test_mixtures_may_come_without_their_references(
    rendered: Rendered, tokenizer: PreTrainedTokenizerFast
) -> None:
    shares = {"condition": "same/same", "reference_share": 1.0}
    blind = samples(rendered, tokenizer, **shares, blind=True)
    told = samples(rendered, tokenizer, **shares)
    for index in range(8):
        assert blind[index]["reference"] is None
        assert torch.equal(blind[index]["input"], told[index]["input"])


def test_only_some_clips_may_be_learned_from(
    rendered: Rendered, tokenizer: PreTrainedTokenizerFast
) -> None:
    data = samples(rendered, tokenizer, among=[3, 1])
    assert len(data) == 2
    _, found = rendered
    some = {found.tensor(found.clips[n]).numpy().tobytes() for n in (1, 3)}
    for start in (0, 2, 4):
        assert {data[start + n]["input"].numpy().tobytes() for n in range(2)} == some


def test_the_rest_of_a_mixture_is_its_clip(rendered: Rendered) -> None:
    _, found = rendered
    data = RestSamples(found, "same/diff", seed=0)
    pairs = {(m.input, m.reference): found.clips[clip]
             for clip, drawn in enumerate(found.mixed["same/diff"]) for m in drawn}  # fmt: skip
    for index in range(10):
        sample = data[index]
        assert any(
            torch.equal(sample["input"], found.tensor(heard))
            and torch.equal(sample["reference"], found.tensor(reference))
            and torch.equal(sample["rest"], found.tensor(clip))
            for (heard, reference), clip in pairs.items()
        )


def test_the_share_of_clips_joined(rendered: Rendered, tokenizer: PreTrainedTokenizerFast) -> None:
    data = samples(rendered, tokenizer, mixgen_share=0.5)
    texts = [
        tokenizer.decode(data[index]["tokens"], skip_special_tokens=True) for index in range(400)
    ]
    assert np.mean([" and " in str(text) for text in texts]) == pytest.approx(0.5, abs=0.08)


def test_the_loss_on_kept_frames_is_the_loss_on_waveforms(
    captioner: CaptionerModel, recordings: list[Recording]
) -> None:
    waveforms = [torch.from_numpy(one.samples) for one in recordings[:4]]
    tokens = [torch.tensor([0, 5 + number, 7, 2]) for number in range(2)]

    def loss(clips: list[torch.Tensor]) -> torch.Tensor:
        batch = collate(
            [
                {"input": clips[0], "reference": None, "tokens": tokens[0]},
                {"input": clips[1], "reference": clips[2], "tokens": tokens[1]},
            ]
        )
        with torch.inference_mode():
            return Captioning(captioner).eval()(**batch)["loss"]

    whole = loss(waveforms)
    with torch.inference_mode():
        lengths = torch.tensor([len(one) for one in waveforms])
        encoded = captioner.encoder(torch.stack(waveforms), lengths).split()
    captioner.add_module("encoder", KeptFrames())
    kept = loss([one.frames[0] for one in encoded])
    torch.testing.assert_close(kept, whole, rtol=1e-5, atol=1e-6)


class Counted(Dataset[Sample]):
    """Waveforms that tell their number by their length, and how often each was asked for."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def __getitem__(self, index: int) -> Sample:
        self.drawn.append(index)
        size = 8000 + 1000 * index
        sounds = torch.randn(2, size, generator=torch.Generator().manual_seed(index))
        reference = None if index % 2 else sounds[1]
        return {"input": sounds[0], "reference": reference, "clip": torch.tensor(float(index))}


def test_what_is_heard_again_is_neither_mixed_nor_encoded_again(captioner: CaptionerModel) -> None:
    mixed = Counted()
    heard = Heard(mixed, captioner.encoder, visits=4, memory=3)
    samples = [heard[index] for index in range(40)]
    assert mixed.drawn == [*range(10)]
    for index, sample in enumerate(samples):
        number = int(sample["clip"])
        assert index // 4 - 3 < number <= index // 4
        assert number == index // 4 or index % 4
        whole = Counted()[number]
        assert torch.equal(sample["input"], captioner.encoder.encode([whole["input"]])[0])
        assert (sample["reference"] is None) == bool(number % 2)
    assert len({int(sample["clip"]) for sample in samples[20:24]}) > 1


def test_a_run_that_was_stopped_hears_the_same(captioner: CaptionerModel) -> None:
    heard, resumed = (Heard(Counted(), captioner.encoder, visits=3, memory=4) for _ in range(2))
    samples = [heard[index] for index in range(24)]
    for index in range(15, 24):
        assert torch.equal(resumed[index]["input"], samples[index]["input"])


def test_without_its_encoder_a_captioner_says_the_same_of_frames(captioner: CaptionerModel) -> None:
    samples = torch.randn(1, 12_000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([12_000])
    frames = captioner.eval().encoder(samples, lengths)
    found = without_encoder(captioner).eval().encode(frames.frames, frames.mask.sum(dim=1))
    torch.testing.assert_close(found.frames, captioner.encode(samples, lengths).frames)
