"""Cnn14 gives what its plain reconstruction from torch's functions gives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import CaptionerConfig, compact
from model.encoders import Cnn14

FULL, COMPACT = CaptionerConfig(), compact(100)


def reconstruct(state: dict[str, Tensor], x: Tensor, pools: tuple[tuple[int, int], ...]) -> Tensor:
    """[B, T, M] log-mel of whole clips -> frames [B, T, D]."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    x = norm(x.transpose(1, 2), "norm").transpose(1, 2)[:, None]
    for number, pool in enumerate(pools):
        for half in (1, 2):
            x = F.conv2d(x, state[f"blocks.{number}.conv{half}.weight"], padding=1)
            x = F.relu(norm(x, f"blocks.{number}.norm{half}"))
        x = F.avg_pool2d(x, pool)
    return x.mean(dim=3).transpose(1, 2)


@pytest.mark.parametrize("config", [FULL, COMPACT], ids=["paper", "compact"])
def test_encoder_is_its_plain_reconstruction(config: CaptionerConfig) -> None:
    torch.manual_seed(0)
    settings = config.encoder.model_copy(update={"widths": (4, 6, 8, 10, 12, 14)})
    encoder = Cnn14(**settings.keywords()).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.weight, 1, 0.3)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.3, 3)
    samples = torch.randn(2, 200 * encoder.front_end.hop + 7)
    with torch.no_grad():
        encoded = encoder(samples, torch.tensor([samples.shape[1]] * 2))
        expected = reconstruct(encoder.state_dict(), encoder.front_end(samples), settings.pools)
    assert expected.shape == (2, 201 // encoder.time_pool, 14)
    assert expected.std() > 0.1
    torch.testing.assert_close(encoded.frames, expected, rtol=1e-4, atol=1e-5)
    assert encoded.mask.all()
