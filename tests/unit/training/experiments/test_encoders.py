"""The tagger's network as a frozen encoder: frames of whole clips, two by two."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.encoders.efficientat import FRAME, EfficientAtNetwork
from model.encoders.level import level
from model.encoders.mobilenet import Trunk
from model.errors import CheckpointError
from model.runtimes.openvino import OpenVino
from training.experiments import encoders
from training.experiments.encoders import WholeClips, Yamnet


@pytest.fixture
def whole() -> WholeClips:
    torch.manual_seed(0)
    return WholeClips(EfficientAtNetwork()).eval()


def heard(seconds: float, clips: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    samples = 0.1 * torch.randn(clips, round(seconds * 32_000))
    return samples, torch.full((clips,), samples.shape[1])


@torch.no_grad()
def test_two_frames_of_the_network_make_one(whole: WholeClips) -> None:
    samples, lengths = heard(10.24)
    found = whole(samples, lengths)
    assert found.frames.shape == (1, 16, 384)
    frames = whole.network.frames(whole.front_end(level(samples, lengths, 32_000)))
    torch.testing.assert_close(found.frames[0, 3], frames[0, 6:8].mean(dim=0))
    assert found.mask.all()
    assert whole.frame_s == 2 * FRAME / 32_000


@torch.no_grad()
def test_clips_of_one_length_do_not_know_of_each_other(whole: WholeClips) -> None:
    samples, lengths = heard(3.0, clips=2)
    both = whole(samples, lengths)
    alone = whole.encode([*samples])
    torch.testing.assert_close(both.frames, torch.stack(alone), atol=1e-5, rtol=0)
    assert both.frames.shape[1] == 5  # the last of part of it
    with pytest.raises(ValueError, match="one length"):
        whole(samples, torch.tensor([len(samples[0]), 1000]))


@torch.no_grad()
def test_cut_in_two_it_says_the_same(whole: WholeClips, tmp_path: Path) -> None:
    """Clips of three lengths; of one the last frame is of half its time."""
    torch.save(whole.network.state_dict(), tmp_path / "mn04.pt")
    encoder, last = encoders.cut(tmp_path / "mn04.pt", None)
    last.eval()
    clips = [heard(seconds)[0][0] for seconds in (10.24, 2.9, 5.12, 10.24)]
    kept = encoder.encode(clips)
    assert [tuple(one.shape) for one in kept] == [(32, 256), (10, 256), (16, 256), (32, 256)]
    assert (encoder.width, encoder.frame_s) == (256, whole.frame_s)
    found = last(pad_sequence(kept, batch_first=True), torch.tensor([32, 10, 16, 32]))
    wanted = whole.encode(clips)
    assert found.mask.sum(dim=1).tolist() == [len(one) for one in wanted] == [16, 5, 8, 16]
    for one, own, mask in zip(wanted, found.frames, found.mask, strict=True):
        torch.testing.assert_close(own[mask], one, atol=1e-5, rtol=1e-5)
        assert not own[~mask].any()
    [odd] = encoder.encode([heard(2.85)[0][0]])
    assert len(odd) == 9
    assert last(odd[None], torch.tensor([9])).mask.sum() == 5


def test_of_a_checkpoint_no_layers_are_cut(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="EfficientAT's network alone"):
        encoders.cut(tmp_path, None)


@torch.no_grad()
def test_yamnet_hears_patches_that_overlap_by_half() -> None:
    torch.manual_seed(0)
    trunk = Trunk().eval()
    yamnet = Yamnet(trunk.state_dict()).eval()
    samples = 0.1 * torch.randn(2, 10_240 * 16)
    found = yamnet(samples, torch.full((2,), samples.shape[1]))
    assert found.frames.shape == (2, 20, 1024)
    assert (found.mask.all(), yamnet.frame_s) == (True, 0.48)
    log_mel = yamnet.front_end(samples)[:, 3 * 48 : 3 * 48 + 96]
    torch.testing.assert_close(found.frames[:, 3], trunk(log_mel).mean(dim=1))
    [shortest] = yamnet.encode([samples[0, : yamnet.min_samples]])
    assert len(shortest) == 1
    with pytest.raises(ValueError, match="one length"):
        yamnet(samples, torch.tensor([samples.shape[1], 16_000]))


def test_a_file_of_weights_and_a_checkpoint_are_read(
    tmp_path: Path,
    whole: WholeClips,
    captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    torch.save(whole.network.state_dict(), tmp_path / "mn04.pt")
    read = encoders.read(tmp_path / "mn04.pt", OpenVino())
    samples, lengths = heard(2.0)
    with torch.no_grad():
        torch.testing.assert_close(
            read(samples, lengths).frames, whole(samples, lengths).frames, atol=1e-3, rtol=0
        )
    assert encoders.config(tmp_path / "mn04.pt").decoder.width == 256
    generation = GenerationConfig()  # type: ignore[no-untyped-call]
    checkpoint.save(tmp_path / "checkpoint", captioner, tokenizer, generation)
    again = encoders.read(tmp_path / "checkpoint", None)
    assert all(map(torch.equal, again.parameters(), captioner.encoder.parameters()))
    assert encoders.config(tmp_path / "checkpoint").encoder == captioner.config.encoder
