"""PANNs' CNN14 and ConvNeXt-Tiny are imported from files in exactly the published layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from model import checkpoint
from model.config import CaptionerConfig, Cnn14Config, ConvNextConfig
from model.config import panns as published
from model.encoders import Cnn14, ConvNext
from model.errors import CheckpointError
from model.published import audioset
from training.__main__ import main

State = dict[str, Tensor]
WIDTHS = (4, 5, 6, 7, 8, 9)
SMALL = published().model_copy(update={"widths": WIDTHS})
TINY = ConvNextConfig(widths=(4, 6, 8, 10), depths=(1, 2, 1, 1))


class Panns(nn.Module):
    """CNN14 as its authors wrote it: log-mels -> features before the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(64)
        for number, (inputs, outputs) in enumerate(zip((1, *WIDTHS[:-1]), WIDTHS, strict=True), 1):
            block = nn.Module()
            block.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            block.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            block.bn1, block.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
            setattr(self, f"conv_block{number}", block)

    def forward(self, log_mel: Tensor) -> Tensor:
        """[B, T, 64] -> [B, T // 32, D]."""
        x = self.bn0(log_mel[:, None].transpose(1, 3)).transpose(1, 3)
        for number in range(1, 7):
            block = getattr(self, f"conv_block{number}")
            x = F.relu(block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x))))))
            x = F.avg_pool2d(x, 2 if number < 6 else 1)
        return x.mean(dim=3).transpose(1, 2)


def front_end(mels: int) -> State:
    return {
        "spectrogram_extractor.stft.conv_real.weight": torch.zeros(513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": torch.zeros(513, 1, 1024),
        "logmel_extractor.melW": torch.zeros(513, mels),
    }


def linear(name: str, inputs: int, outputs: int) -> State:
    return {f"{name}.weight": torch.zeros(outputs, inputs), f"{name}.bias": torch.zeros(outputs)}


@pytest.fixture(scope="module")
def panns() -> Panns:
    torch.manual_seed(0)
    network = Panns().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    network.bn0.running_mean.add_(-40)
    network.bn0.running_var.add_(200)
    return network


@pytest.fixture(scope="module")
def cnn14_state(panns: Panns) -> State:
    head = linear("fc1", WIDTHS[-1], 2048) | linear("fc_audioset", 2048, 527)
    return front_end(64) | panns.state_dict() | head


@pytest.fixture(scope="module")
def convnext_state() -> State:
    torch.manual_seed(1)
    network = ConvNext(**TINY.keywords())
    return (
        front_end(224)
        | {name: torch.rand_like(value.float()).to(value.dtype) for name, value in
           network.state_dict().items()}
        | linear("head_audioset", 10, 527)
        | {"norm.weight": torch.ones(10), "norm.bias": torch.zeros(10)}
    )  # fmt: skip


def test_cnn14(panns: Panns, cnn14_state: State, tmp_path: Path) -> None:
    torch.save({"iteration": 600_000, "model": cnn14_state}, tmp_path / "Cnn14.pth")
    audioset.import_cnn14(tmp_path / "Cnn14.pth", tmp_path / "ours", SMALL)
    config = CaptionerConfig.from_pretrained(tmp_path / "ours").encoder
    encoder = Cnn14(**config.keywords()).eval()
    checkpoint.load_encoder(encoder, tmp_path / "ours")
    clips = [0.3 * torch.randn(length) for length in (32_000, 48_123, 10_500)]
    padded = nn.utils.rnn.pad_sequence(clips, batch_first=True)
    with torch.no_grad():
        batch = encoder(padded, torch.tensor([len(clip) for clip in clips])).split()
        for clip, one, other in zip(clips, encoder.encode(clips), batch, strict=True):
            expected = panns(encoder.front_end(clip[None]))[0]
            assert expected.std() > 0.01
            torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(other.frames[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["PyTorch", "safetensors"])
def test_convnext(convnext_state: State, tmp_path: Path, layout: str) -> None:
    file = tmp_path / ("model.safetensors" if layout == "safetensors" else "convnext_tiny.pth")
    if layout == "safetensors":
        save_file(convnext_state, file)
    else:
        torch.save({"model": convnext_state}, file)
    audioset.import_convnext(file, tmp_path / "ours", TINY)
    encoder = ConvNext(**TINY.keywords())
    checkpoint.load_encoder(encoder, tmp_path / "ours")
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, convnext_state[name]), name


def without(state: State) -> None:
    del state["bn0.running_var"]


def with_more(state: State) -> None:
    state["surprise.weight"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("change", "message"), [(without, "bn0.running_var is missing"), (with_more, "surprise")]
)
def test_other_files_are_refused(
    cnn14_state: State, tmp_path: Path, change: Callable[[State], None], message: str
) -> None:
    state = dict(cnn14_state)
    change(state)
    torch.save({"model": state}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=message):
        audioset.import_cnn14(tmp_path / "other.pth", tmp_path / "ours", SMALL)
    (tmp_path / "torn.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        audioset.import_convnext(tmp_path / "torn.safetensors", tmp_path / "ours", TINY)


def test_on_the_command_line(
    convnext_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"model": convnext_state}, tmp_path / "c.pth")
    monkeypatch.setattr(audioset, "ConvNextConfig", lambda: TINY)
    arguments = ["import-encoder", "convnext", str(tmp_path / "c.pth"), str(tmp_path / "ours")]
    monkeypatch.setattr("sys.argv", ["training", *arguments])
    main()
    assert (tmp_path / "ours" / "model.safetensors").is_file()


def test_published_sizes() -> None:
    config = published()
    with torch.device("meta"):
        encoder = Cnn14(**config.keywords())
        convnext = ConvNext(**ConvNextConfig().keywords())
    assert (config.front_end.mels, encoder.frame_s, encoder.width) == (64, 0.32, 2048)
    assert isinstance(config, Cnn14Config)
    assert sum(each.numel() for each in convnext.parameters()) == pytest.approx(27.8e6, rel=0.01)
