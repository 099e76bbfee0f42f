"""Four parts of a test's own take the slots: they are served over HTTP and trained, as ours are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from engine.captioner import Captioner
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint, baseline_search
from model.config import CaptionerConfig
from model.contracts import Adapter, Decoder, DiffBlock, Encoder, Parts
from model.types import Difference, Encoded, Sequences
from tests.support.audio import by_soundfile
from tests.support.threaded import in_thread
from training.captions.tokenizer import train_tokenizer
from training.fit import Budget, Stage, fit
from training.losses import Captioning

FRAME = 800


class Patches(nn.Module):
    """An encoder: each tenth of a second at 8 kHz, projected."""

    sample_rate, width, frame_s, min_samples = 8000, 4, 0.1, FRAME
    precise: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(FRAME, self.width)

    def forward(self, samples: Tensor, lengths: Tensor) -> Encoded:
        frames = self.project(samples.unfold(1, FRAME, FRAME))
        return Encoded(frames, torch.arange(frames.shape[1]) < lengths[:, None] // FRAME)

    def encode(self, clips: Sequence[Tensor]) -> list[Tensor]:
        return [self(clip[None], torch.tensor([len(clip)])).frames[0] for clip in clips]

    def fold_norms(self) -> None:
        """There are none."""


class Rectify(nn.Module):
    """An adapter without weights: positive and negative parts side by side."""

    width = 8

    def forward(self, encoded: Encoded) -> Encoded:
        return Encoded(torch.cat([encoded.frames, -encoded.frames], -1).relu(), encoded.mask)


class Centre(nn.Module):
    """A diff block whose memory is one frame, whatever the length: the two means apart."""

    makes_memory = False

    def forward(self, input: Encoded, reference: Encoded) -> Difference:  # noqa: A002
        apart = mean(input.frames, input.mask) - mean(reference.frames, reference.mask)
        return Difference(apart[:, None], input.mask[:, :1], None)


class Places(nn.Module):
    """A decoder: which word follows depends on its place and on the memory's mean."""

    max_positions, pad_token_id = 100, 1

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.memory, self.place = nn.Linear(8, vocabulary), nn.Embedding(16, vocabulary)

    def forward(self, difference: Difference, tokens: Tensor) -> Tensor:
        places = self.place(torch.arange(tokens.shape[1]))
        logits: Tensor = self.memory(mean(difference.memory, difference.mask))[:, None] + places
        return logits

    def generate(self, difference: Difference, *, num_captions: int, **_: Any) -> Sequences:
        blank = torch.zeros(len(difference.memory), 5, dtype=torch.long)
        scores, tokens = self(difference, blank).log_softmax(-1).topk(num_captions)
        return Sequences(tokens.mT, torch.full_like(tokens[:, 0], 5), scores.mean(1))


def mean(frames: Tensor, mask: Tensor) -> Tensor:
    """[B, T, D] over what is no padding."""
    return (frames * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["a dog barks", "rain falls on a tin roof", "birds sing"] * 4, 300)


@pytest.fixture
def model(tokenizer: PreTrainedTokenizerFast) -> CaptionerModel:
    torch.manual_seed(0)
    encoder: Encoder = Patches()
    adapter: Adapter = Rectify()
    difference: DiffBlock = Centre()
    decoder: Decoder = Places(len(tokenizer))
    return CaptionerModel(CaptionerConfig(), Parts(encoder, adapter, difference, decoder))


def test_they_are_served(model: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> None:
    loaded = Checkpoint("own", "0", {}, model.eval(), tokenizer, baseline_search(max_length=12))
    rng = np.random.default_rng(0)
    one, other = (rng.uniform(-1, 1, samples).astype(np.float32) for samples in (16_000, 12_345))
    with (
        in_thread(Captioner(loaded, torch.device("cpu"))) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        while client.get("/readyz").status_code != 200:
            pass
        options = {"num_captions": "2"}
        caption = client.post("/caption", files={"file": wav(one)}, data=options)
        pair = {"input": wav(one), "reference": wav(other)}
        difference = client.post("/difference", files=pair, data=options)
        short = client.post("/caption", files={"file": wav(one[: FRAME - 1])})
    assert (caption.status_code, difference.status_code, short.status_code) == (200, 200, 422)
    with torch.inference_mode():
        clip, reference = model.encode_clips([torch.from_numpy(each) for each in (one, other)])
        plain = Difference(clip.frames, clip.mask, None)
        for answer, memory in ((caption, plain), (difference, model.difference(clip, reference))):
            best = model.decoder(memory, torch.zeros(1, 5)).argmax(-1)[0]
            words = tokenizer.decode(best, skip_special_tokens=True).strip()
            assert answer.json()["caption"] == words
    assert len(caption.json()["alternatives"]) == 1
    assert caption.json()["caption"] != difference.json()["caption"]
    timeline = difference.json()["timeline"]
    assert [segment["start_s"] for segment in timeline] == pytest.approx(
        [frame / 10 for frame in range(20)]
    )
    assert {segment["kept"] for segment in timeline} == {None}


def test_they_are_trained(
    model: CaptionerModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    budget = Budget(steps=2, batch_size=2, learning_rate=1e-2, warmup_steps=0, workers=0)
    fit(Stage("own", Samples(tokenizer), Captioning(model), "", budget), tmp_path)
    assert (tmp_path / "own" / "checkpoint-2").is_dir()
    still = [name for name, value in model.state_dict().items() if torch.equal(value, before[name])]
    assert before
    assert still == []


class Samples(Dataset[dict[str, Any]]):
    """Noise, and half of it with a reference."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokens = torch.tensor(tokenizer("a dog barks")["input_ids"])

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = torch.rand(4000 + index, generator=torch.Generator().manual_seed(index)) - 0.5
        return {
            "input": clip,
            "reference": clip.flip(0) if index % 2 else None,
            "tokens": self.tokens,
        }


def wav(samples: np.ndarray) -> bytes:
    return by_soundfile(samples, 8000, "WAV", "FLOAT")
