"""An imported checkpoint does what the published network does."""

from __future__ import annotations

import io
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor, nn

from engine.captioner import Captioner
from model import checkpoint
from model.config import CaptionerConfig, Cnn14Config
from model.encoders import Cnn14
from model.errors import CheckpointError
from model.published import dcase2023 as convert
from model.types import Difference
from tests.parity.published import (
    BOS,
    FULL,
    RATE,
    SMALL,
    PublishedCaptioner,
    PublishedEncoder,
    log_mel,
    padded,
    randomize,
)
from training import __main__ as command_line

SECONDS = (45.0, 0.5, 7.3, 20.0)
"""Longer than 2048 frames (40.96 s), shorter than one encoder frame (1.28 s), and between."""
SEARCH = ("num_beams", "min_length", "no_repeat_ngram_size", "length_penalty", "early_stopping")


@pytest.fixture(scope="module", autouse=True)
def _no_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    """Noise whose level changes all the time."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for seconds in SECONDS:
        samples = 0.3 * torch.randn(int(seconds * RATE), generator=generator).clamp(-3, 3)
        level = torch.rand(len(samples) // 9000 + 1, generator=generator)
        made.append(samples * level.repeat_interleave(9000)[: len(samples)])
    return made


@pytest.fixture(scope="module")
def batch(clips: list[Tensor]) -> tuple[Tensor, Tensor]:
    return nn.utils.rnn.pad_sequence(clips, batch_first=True), torch.tensor(list(map(len, clips)))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
    command_line.main()


@pytest.fixture(scope="module")
def imported(
    published: PublishedCaptioner,
    config: CaptionerConfig,
    tokenizer_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The small network, saved as the authors did and imported on the command line."""
    folder = tmp_path_factory.mktemp("published")
    torch.save(published.state_dict(), folder / "published.bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "published", lambda: config)
        paths = (folder / "published.bin", folder / "ours", "--tokenizer", tokenizer_dir)
        run(patch, "import", "dcase2023-baseline", *paths)
    return folder / "ours"


# -- the captioner ----------------------------------------------------------------------------


def test_logits(
    published: PublishedCaptioner, imported: Path, clips: list[Tensor], batch: tuple[Tensor, Tensor]
) -> None:
    model = checkpoint.load(imported, torch.float32).model
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(
        3, model.config.decoder.vocab_size, (len(clips), 20), generator=generator
    )
    tokens[:, 0] = BOS
    heard = model.encode(*batch)
    assert heard.mask.sum(dim=1).tolist() == [32, 1, 6, 16]
    given, _ = published.frames(clips)
    given = given[:, : heard.mask.shape[1]]
    real = heard.mask[..., None]
    torch.testing.assert_close(heard.frames * real, given * real, rtol=1e-5, atol=1e-5)
    # In double precision: of logits as large as nine, single leaves 2e-5 open on either side.
    found = model.decoder.double()(Difference(given.double(), heard.mask, None), tokens)
    exact = deepcopy(published)
    exact.bart_lm.double()
    expected = exact.logits(clips, tokens)
    assert (expected[1:] - expected[:-1]).abs().amax(dim=(1, 2)).min() > 0.1  # all clips differ
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_beams(
    published: PublishedCaptioner, imported: Path, clips: list[Tensor], batch: tuple[Tensor, Tensor]
) -> None:
    loaded = checkpoint.load(imported, torch.float32)
    heard = loaded.model.encode(*batch)
    found = loaded.model.decoder.generate(
        Difference(heard.frames, heard.mask, None),
        num_captions=4,
        max_new_tokens=loaded.generation.max_length - 2,
        **{name: getattr(loaded.generation, name) for name in SEARCH},
    ).tokens
    expected = published.generate(clips)
    assert len({tuple(best) for best in expected[:, 0].tolist()}) == len(clips)
    assert found.tolist() == expected.tolist()


def test_wav_to_caption(published: PublishedCaptioner, imported: Path, clips: list[Tensor]) -> None:
    captioner = Captioner.from_dir(imported, device="cpu")
    files = []
    for clip in clips:
        files.append(io.BytesIO())
        soundfile.write(files[-1], clip.numpy(), RATE, subtype="FLOAT", format="WAV")
    waveforms = [captioner.prepare(file.getvalue()) for file in files]
    found = [each.best.text for each in captioner.caption(waveforms)]
    best = published.generate([waveform.samples for waveform in waveforms])[:, 0]
    texts = captioner.tokenizer.batch_decode(best, skip_special_tokens=True)
    assert found == [text.strip() for text in texts]
    assert captioner.generation.forced_bos_token_id == BOS


# -- the encoder ------------------------------------------------------------------------------


def build(config: CaptionerConfig) -> Cnn14:
    return Cnn14(**config.encoder.keywords()).eval()


def test_encoder_of_true_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PublishedEncoder(FULL).eval()
    randomize(network)
    source, target = tmp_path / "audio_encoder.pth", tmp_path / "encoder"
    torch.save(network.state_dict(), source)
    run(monkeypatch, "import-encoder", "dcase2023", source, target)
    encoder = build(CaptionerConfig.from_pretrained(target))
    checkpoint.load_encoder(encoder, target)
    source.unlink()  # both are large
    (target / "model.safetensors").unlink()
    samples = 0.3 * torch.randn(3 * RATE)
    found = encoder(samples[None], torch.tensor([len(samples)]))
    features, mask = padded(log_mel(samples))
    expected = network(features[None])
    assert found.frames.shape == (1, 32, 2048)
    assert found.mask[0].tolist() == mask.bool().tolist()
    assert expected.std() > 0.1
    torch.testing.assert_close(found.frames, expected, rtol=1e-4, atol=1e-5)


def test_a_whole_checkpoint_starts_an_encoder(imported: Path, config: CaptionerConfig) -> None:
    encoder = build(config)
    checkpoint.load_encoder(encoder, imported)
    expected = checkpoint.load(imported, torch.float32).model.encoder.state_dict()
    assert all(torch.equal(expected[key], value) for key, value in encoder.state_dict().items())


def test_an_encoder_of_another_size_is_not_started(imported: Path, tmp_path: Path) -> None:
    encoder = build(CaptionerConfig(encoder=Cnn14Config(widths=(4, 6, 8, 10, 12, 18))))
    with pytest.raises(CheckpointError, match=r"blocks\.5\.conv1\.weight"):
        checkpoint.load_encoder(encoder, imported)
    with pytest.raises(CheckpointError, match="no encoder"):
        checkpoint.load_encoder(encoder, tmp_path)


def test_published_padding_is_heard(config: CaptionerConfig, imported: Path) -> None:
    """What the setting is for: without it a clip's last frames would be others."""
    ours = Cnn14Config(widths=SMALL)
    assert ours.fixed_frames is None
    theirs, alone = build(config), build(CaptionerConfig(encoder=ours))
    for encoder in (theirs, alone):
        checkpoint.load_encoder(encoder, imported)
    samples = torch.randn(1, 4 * 56_448)  # four encoder frames
    filled, plain = (each(samples, torch.tensor([samples.shape[1]])) for each in (theirs, alone))
    assert plain.frames.shape[1] == 4
    assert (filled.frames[:, 3] - plain.frames[:, 3]).abs().max() > 1e-3
