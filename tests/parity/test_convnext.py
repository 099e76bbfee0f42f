"""ConvNext's frames are those of a plain network with the published names."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ConvNextConfig
from model.encoders import ConvNext

WIDTHS, DEPTHS = (4, 6, 8, 10), (1, 2, 1, 1)
RATE = 32_000


class Published(nn.Module):
    """As published: blocks in PyTorch's modules, channels last for linear maps and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(224)
        self.downsample_layers = nn.ModuleList()
        self.downsample_layers.append(
            nn.Sequential(nn.Conv2d(1, WIDTHS[0], 4, 4, (4, 0)), nn.LayerNorm(WIDTHS[0], eps=1e-6))
        )
        for before, after in itertools.pairwise(WIDTHS):
            self.downsample_layers.append(
                nn.Sequential(nn.LayerNorm(before, eps=1e-6), nn.Conv2d(before, after, 2, 2))
            )
        self.stages = nn.ModuleList()
        for width, depth in zip(WIDTHS, DEPTHS, strict=True):
            self.stages.append(nn.Sequential(*(self.block(width) for _ in range(depth))))

    @staticmethod
    def block(width: int) -> nn.Module:
        block = nn.Module()
        block.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        block.norm = nn.LayerNorm(width, eps=1e-6)
        block.pwconv1, block.pwconv2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        block.gamma = nn.Parameter(torch.randn(width))
        return block

    @torch.no_grad()
    def forward(self, log_mel: Tensor) -> Tensor:
        """[1, T, 224] -> [T', D]."""
        x = self.bn0(log_mel.unsqueeze(1).transpose(1, 3)).transpose(1, 3)
        for number, stage in enumerate(self.stages):
            first, second = self.downsample_layers[number]
            if number == 0:
                x = second(first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            else:
                x = second(first(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
            for block in stage:
                y = block.norm(block.dwconv(x).permute(0, 2, 3, 1))
                y = block.pwconv2(F.gelu(block.pwconv1(y))) * block.gamma
                x = x + y.permute(0, 3, 1, 2)
        return x.mean(3)[0].t()


@pytest.fixture(scope="module")
def published() -> Published:
    torch.manual_seed(0)
    network = Published().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        network.bn0.running_mean.normal_(-40, 5)
        network.bn0.running_var.uniform_(200, 400)
    return network


@pytest.fixture(scope="module")
def encoder(published: Published) -> ConvNext:
    encoder = ConvNext(**ConvNextConfig(widths=WIDTHS, depths=DEPTHS).keywords()).eval()
    encoder.load_state_dict(published.state_dict())
    return encoder


@torch.no_grad()
def test_frames(encoder: ConvNext, published: Published) -> None:
    torch.manual_seed(1)
    for seconds in (0.3, 1.0, 2.345):
        clip = 0.1 * torch.randn(int(RATE * seconds))
        expected = published(encoder.front_end(clip[None]))
        [found] = encoder.encode([clip])
        assert expected.std() > 0.1
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_ten_seconds_are_31_frames(encoder: ConvNext) -> None:
    [frames] = encoder.encode([torch.randn(10 * RATE)])
    assert frames.shape == (31, WIDTHS[-1])
    assert encoder.frame_s == pytest.approx(0.32)


@torch.no_grad()
def test_padding_and_neighbours_change_nothing(encoder: ConvNext) -> None:
    torch.manual_seed(2)
    clips = [0.1 * torch.randn(n) for n in (encoder.min_samples, 20_000, 20_001, 33_333, 20_000)]
    padded = nn.utils.rnn.pad_sequence(clips, batch_first=True)
    heard = encoder(padded, torch.tensor([len(clip) for clip in clips])).split()
    together = encoder.encode(clips)
    for clip, one, other in zip(clips, heard, together, strict=True):
        [alone] = encoder.encode([clip])
        assert len(alone) >= 1
        torch.testing.assert_close(one.frames[0], alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(other, alone, rtol=1e-4, atol=1e-5)
