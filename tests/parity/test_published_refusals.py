"""No other file is taken for a published checkpoint, and none is run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from model.config import BartDecoderConfig, CaptionerConfig
from model.errors import CheckpointError
from model.published import dcase2023 as convert
from model.published.state_dict import read_state_dict
from tests.parity.published import PublishedCaptioner
from training import __main__ as command_line

State = dict[str, Any]


def drop(state: State) -> None:
    del state["audio_enc.cnn.19.weight"]


def add(state: State) -> None:
    state["audio_enc.fc3.weight"] = torch.zeros(2)


def reshape(state: State) -> None:
    state["bart_lm.model.decoder.layers.1.fc2.weight"] = torch.zeros(16, 25)


def halve(state: State) -> None:
    state["audio_adapt.0.bias"] = state["audio_adapt.0.bias"].half()


def untie(state: State) -> None:
    state["bart_lm.lm_head.weight"] = state["bart_lm.lm_head.weight"] + 1


def nest(state: State) -> None:
    state["optimizer"] = dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"audio_enc\.cnn\.19\.weight is missing"),
        (add, r"audio_enc\.fc3\.weight is unknown"),
        (reshape, r"layers\.1\.fc2\.weight is float32 \(16, 25\), not float32 \(16, 24\)"),
        (halve, r"audio_adapt\.0\.bias is float16 \(16,\), not float32 \(16,\)"),
        (untie, r"bart_lm\.\S+ differs from the weight that it is tied to"),
        (nest, "not a flat state dict"),
    ],
)
def test_another_state_dict_is_refused(
    published: PublishedCaptioner,
    config: CaptionerConfig,
    tokenizer_dir: Path,
    tmp_path: Path,
    change: Callable[[State], None],
    message: str,
) -> None:
    state = dict(published.state_dict())
    change(state)
    torch.save(state, tmp_path / "changed.bin")
    with pytest.raises(CheckpointError, match=message):
        convert.import_captioner(tmp_path / "changed.bin", tmp_path / "ours", tokenizer_dir, config)
    assert not (tmp_path / "ours").exists()


class Unsafe:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_code_in_a_file_is_refused_and_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.save({"bn0.weight": Unsafe(tmp_path / "ran")}, tmp_path / "unsafe.pth")
    paths = [str(tmp_path / name) for name in ("unsafe.pth", "ours")]
    monkeypatch.setattr(sys, "argv", ["training", "import-encoder", "dcase2023", *paths])
    with pytest.raises(SystemExit, match=r"unsafe\.pth is refused"):
        command_line.main()
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("content", [b"", b"not weights", np.arange(999).tobytes(), b"PK\3\4" * 9])
def test_damage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="is refused"):
        read_state_dict(tmp_path / "damaged.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_state_dict(tmp_path / "absent.pth")


def test_tokenizer_of_another_model_is_refused(tokenizer_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"50265.* --tokenizer"):
        convert.load_tokenizer(tokenizer_dir, BartDecoderConfig())
    with pytest.raises(CheckpointError, match=r"is no folder.* --tokenizer"):
        convert.load_tokenizer(tmp_path / "absent", BartDecoderConfig())
    with pytest.raises(CheckpointError, match=r"no tokenizer from .* --tokenizer"):
        convert.load_tokenizer(tmp_path, BartDecoderConfig())


def test_without_a_network_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, **_: Any) -> None:
        raise OSError(f"could not connect for {name}")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", offline)
    with pytest.raises(CheckpointError, match=r"facebook/bart-base.* --tokenizer"):
        convert.load_tokenizer(None, BartDecoderConfig())
