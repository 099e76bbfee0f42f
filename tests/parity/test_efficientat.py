"""EfficientAT's network and front end equal the ONNX file, Kaldi's mels and a second writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.compliance.kaldi import get_mel_banks

from model import checkpoint
from model.config import CaptionerConfig
from model.encoders import EfficientAt
from model.encoders.efficientat import EfficientAtNetwork, KaldiLogMel
from model.errors import CheckpointError
from model.published import efficientat
from tests.conftest import DATA, NEEDS_DATA
from tests.support.networks import tagger


@pytest.fixture(scope="module", autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def models() -> Path:
    if not (DATA / "models" / "mn04_as.onnx").is_file():
        pytest.skip(f"EfficientAT's weights are not at hand {NEEDS_DATA}")
    return DATA / "models"


@pytest.fixture(scope="module")
def network() -> EfficientAtNetwork:
    return tagger()


# The network, written again ----------------------------------------------------------------------

BLOCKS = """8 8 8 3 1 - R; 8 24 16 3 2 - R; 16 32 16 3 1 - R; 16 32 16 5 2 8 R; 16 48 16 5 1 16 R;
16 48 16 5 1 16 R; 16 96 32 3 2 - H; 32 80 32 3 1 - H; 32 72 32 3 1 - H; 32 72 32 3 1 - H;
32 192 48 3 1 48 H; 48 272 48 3 1 72 H; 48 272 64 5 2 72 H; 64 384 64 5 1 96 H;
64 384 64 5 1 96 H"""
"""In, expanded, out, kernel, stride, squeeze, activation: as the paper's table has them."""


class Written:
    """The published state dict applied layer by layer; blocks are as the names tell."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, scale, shift = (
            self.state[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-3) * scale + shift

    def conv(self, x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self.state[f"{name}.0.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        return self.norm(x, f"{name}.1")

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def __call__(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        def hard(x: Tensor) -> Tensor:
            return x * (x + 3).clamp(0, 6) / 6

        x = hard(self.conv(log_mel.mT[:, None], "features.0", stride=2))
        for number, row in enumerate(BLOCKS.split(";"), start=1):
            inputs, expanded, outputs, _, stride, squeeze, activation = row.split()
            act = hard if activation == "H" else torch.relu
            layer, start = 0, x
            if inputs != expanded:
                x = act(self.conv(x, f"features.{number}.block.0"))
                layer = 1
            name = f"features.{number}.block.{layer}"
            x = act(self.conv(x, name, int(stride), groups=int(expanded)))
            layer += 1
            if squeeze != "-":
                name = f"features.{number}.block.{layer}.conc_se_layers.0"
                pooled = torch.relu(self.linear(x.mean((2, 3)), f"{name}.fc1"))
                assert pooled.shape[1] == int(squeeze)
                x = x * torch.sigmoid(self.linear(pooled, f"{name}.fc2"))[:, :, None, None]
                layer += 1
            x = self.conv(x, f"features.{number}.block.{layer}")
            if inputs == outputs and stride == "1":
                x = x + start
        pooled = hard(self.conv(x, "features.16")).mean((2, 3))
        hidden = hard(self.linear(pooled, "classifier.2"))
        return self.linear(hidden, "classifier.5"), pooled


@pytest.mark.parametrize("frames", [32, 77, 193])
def test_the_network_written_again(network: EfficientAtNetwork, frames: int) -> None:
    log_mel = torch.randn(2, frames, 128)
    logits, pooled = network(log_mel)
    expected_logits, expected = Written(network.state_dict())(log_mel)
    assert pooled.std() > 0.1
    torch.testing.assert_close(pooled, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits, expected_logits, rtol=1e-4, atol=1e-4)


def test_it_is_the_published_onnx_file(models: Path) -> None:
    network = efficientat.read_network(models / efficientat.FILE)
    session = onnxruntime.InferenceSession(models / "mn04_as.onnx")
    log_mel = torch.randn(2, 320, 128, generator=torch.Generator().manual_seed(0))
    given = {session.get_inputs()[0].name: log_mel.mT[:, None].numpy()}
    logits, features = network(log_mel)
    expected_logits, expected = session.run(None, given)
    np.testing.assert_allclose(features.numpy(), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits.numpy(), expected_logits, rtol=0, atol=1e-4)


# The front end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [600, 8000, 32_001])
def test_the_front_end_has_kaldis_mels(samples: int) -> None:
    heard = np.random.default_rng(samples).uniform(-0.5, 0.5, samples)
    emphasized = heard[1:] - 0.97 * heard[:-1]
    padded = np.pad(emphasized, 512, mode="reflect")
    window = np.zeros(1024)
    window[112:912] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)
    starts = range(0, len(padded) - 1023, 320)
    power = np.array([np.abs(np.fft.rfft(window * padded[s : s + 1024])) ** 2 for s in starts])
    banks, _ = get_mel_banks(128, 1024, 32_000.0, 0.0, 15_000.0, 100.0, -500.0, 1.0)
    mel = power @ np.pad(banks.numpy().astype(np.float64).T, ((0, 1), (0, 0)))
    expected = (np.log(mel + 1e-5) + 4.5) / 5
    found = KaldiLogMel()(torch.from_numpy(heard)[None].float())[0]
    assert found.shape == (1 + (samples - 1) // 320, 128)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-3)


# The importer ------------------------------------------------------------------------------------


def test_an_imported_encoder_is_the_network(network: EfficientAtNetwork, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "published.pt")
    efficientat.import_encoder(tmp_path / "published.pt", tmp_path / "encoder")
    config = CaptionerConfig.from_pretrained(tmp_path / "encoder")
    assert config.encoder.name == "efficientat"
    encoder = EfficientAt()
    checkpoint.load_encoder(encoder, tmp_path / "encoder")
    state = network.state_dict()
    assert all(torch.equal(state[k], v) for k, v in encoder.network.state_dict().items())


def test_another_network_is_refused(network: EfficientAtNetwork, tmp_path: Path) -> None:
    state = network.state_dict()
    torch.save({k: v for k, v in state.items() if k != "classifier.5.bias"}, tmp_path / "less.pt")
    torch.save({**state, "classifier.5.bias": torch.zeros(521)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"classifier\.5\.bias is missing"):
        efficientat.read_network(tmp_path / "less.pt")
    with pytest.raises(CheckpointError, match=r"classifier\.5\.bias is .*521"):
        efficientat.import_encoder(tmp_path / "other.pt", tmp_path / "encoder")
    assert not (tmp_path / "encoder").exists()
