"""ByolA is the published network's frames, written again with torch's own modules and torchaudio.

Random weights under the published names; the published ones are under a licence of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchaudio
from torch import Tensor, nn

from model import checkpoint
from model.config import CaptionerConfig
from model.contracts import Encoder
from model.encoders import ENCODERS
from model.errors import CheckpointError
from model.published import byol_a
from training import __main__ as command_line

MEAN, STD = -5.5, 4.25
SIZES = {"2020": (3, 48), "2022": (2, 40)}
"""Convolutions, and features of the last layer."""


class Published(nn.Module):
    """Named as the published files are; an image of [mel, time] goes in."""

    def __init__(self, year: str, hidden: int = 32) -> None:
        super().__init__()
        convolutions, last = SIZES[year]
        layers: list[nn.Module] = []
        for inputs in (1, 64, 64)[:convolutions]:
            layers += [nn.Conv2d(inputs, 64, 3, 1, 1), nn.BatchNorm2d(64), nn.ReLU()]
            layers.append(nn.MaxPool2d(2, stride=2))
        self.features = nn.Sequential(*layers)
        flat = 64 * 64 // 2**convolutions
        self.fc = nn.Sequential(
            nn.Linear(flat, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, last), nn.ReLU()
        )
        self.joined = year == "2022"

    def forward(self, samples: Tensor) -> Tensor:
        """[S] -> [T, D]."""
        spectrogram = torchaudio.transforms.MelSpectrogram(
            16_000, n_fft=1024, hop_length=160, f_min=60.0, f_max=7_800.0, n_mels=64,
            pad_mode="constant",
        )  # fmt: skip
        log_mel = (spectrogram(samples) + torch.finfo().eps).log()
        image = self.features(((log_mel - MEAN) / STD)[None, None])[0]
        frames = image.movedim(2, 0).movedim(2, 1).reshape(image.shape[2], -1)
        found = self.fc(frames)
        return torch.hstack([frames, found]) if self.joined else found


@pytest.fixture(params=SIZES)
def published(request: pytest.FixtureRequest) -> Published:
    torch.manual_seed(0)
    network = Published(request.param)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1, 0.3)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.3, 3)
    return network.eval()


def imported(folder: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Encoder:
    """By the command."""
    torch.save(state, folder / "published.pth")
    monkeypatch.setattr(
        sys, "argv",
        ["training", "import-encoder", "byol_a", str(folder / "published.pth"),
         str(folder / "encoder"), "--mean", str(MEAN), "--std", str(STD)],
    )  # fmt: skip
    command_line.main()
    config = CaptionerConfig.from_pretrained(folder / "encoder").encoder
    encoder = ENCODERS[config.name](**config.keywords())
    checkpoint.load_encoder(encoder, folder / "encoder")
    return encoder.eval()  # type: ignore[no-any-return, attr-defined]


@pytest.mark.parametrize("nested", [False, True])
@torch.no_grad()
def test_an_imported_encoder_is_the_network(
    published: Published, nested: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state: dict[str, Any] = published.state_dict()
    if nested:  # as the training of 2022 leaves it
        state = {"epoch": 3, "state_dict": {f"model.{key}": value for key, value in state.items()}}
    encoder = imported(tmp_path, state, monkeypatch)
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randn(size, generator=generator) * 0.1 for size in (4_000, 16_000, 9_999)]
    for frames, clip in zip(encoder.encode(clips), clips, strict=True):
        expected = published(clip)
        assert frames.std() > 0.05
        torch.testing.assert_close(frames, expected, rtol=1e-3, atol=1e-3)
    assert encoder.width == frames.shape[1]
    assert encoder.frame_s == pytest.approx({False: 0.08, True: 0.04}[published.joined])


@torch.no_grad()
def test_another_network_is_refused(published: Published, tmp_path: Path) -> None:
    state = published.state_dict()
    torch.save(state | {"fc.5.bias": torch.zeros(3)}, tmp_path / "more.pth")
    torch.save({"fc.0.weight": state["fc.0.weight"]}, tmp_path / "less.pth")
    with pytest.raises(CheckpointError, match=r"fc\.5\.bias is unknown"):
        byol_a.import_encoder(tmp_path / "more.pth", tmp_path / "encoder", 0, 1)
    with pytest.raises(CheckpointError, match=r"fc\.3\.weight"):
        byol_a.import_encoder(tmp_path / "less.pth", tmp_path / "encoder", 0, 1)
    assert not (tmp_path / "encoder").exists()


def test_the_scale_of_log_mels_goes_with_the_encoder(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(tmp_path, published.state_dict(), monkeypatch)
    stored = json.loads((tmp_path / "encoder" / "config.json").read_text())["encoder"]
    assert stored["front_end"] == {"mean": MEAN, "std": STD}
