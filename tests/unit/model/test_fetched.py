"""A checkpoint that lacks weights: not loaded before they are there, whole afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model import checkpoint
from model.captioner import CaptionerModel
from model.config import FetchedConfig
from model.errors import CheckpointError

FETCHED = FetchedConfig(
    file="others.safetensors",
    keys=("encoder.", "adapter."),
    url="http://127.0.0.1/others.pt",
    size=1,
    sha256="0" * 64,
    licence="MIT",
    source="Others",
)


@pytest.fixture
def whole(make_model: Callable[..., CaptionerModel]) -> CaptionerModel:
    model = make_model()
    model.config.fetched = FETCHED
    return model


@pytest.fixture
def lacking(whole: CaptionerModel, save_checkpoint: Callable[..., Path]) -> Path:
    return save_checkpoint(whole)


def others(model: CaptionerModel) -> dict[str, Tensor]:
    return {key: value for key, value in model.state_dict().items() if FETCHED.holds(key)}


def test_saving_leaves_the_weights_of_others_out(lacking: Path) -> None:
    stored = load_file(lacking / checkpoint.WEIGHTS).keys()
    assert stored
    assert not [key for key in stored if FETCHED.holds(key)]
    assert {path.name for path in lacking.iterdir()} == {*checkpoint.FILES}
    assert checkpoint.read_fetched(lacking) == FETCHED


def test_the_error_says_what_to_run(lacking: Path) -> None:
    with pytest.raises(CheckpointError, match="audiodiff fetch tiny") as trouble:
        checkpoint.load(lacking, torch.float32)
    assert "Others" in str(trouble.value)


def test_a_fetched_file_completes_it(whole: CaptionerModel, lacking: Path) -> None:
    save_file(others(whole), lacking / FETCHED.file)
    loaded = checkpoint.load(lacking, torch.float32)
    before, after = whole.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert loaded.model.config.fetched == FETCHED


def test_the_revision_is_of_the_fetched_file_too(whole: CaptionerModel, lacking: Path) -> None:
    weights = others(whole)
    save_file(weights, lacking / FETCHED.file)
    before = checkpoint.revision(lacking)
    assert checkpoint.load(lacking, torch.float32).revision == before
    weights["adapter.bias"] = weights["adapter.bias"] + 1
    save_file(weights, lacking / FETCHED.file)
    assert checkpoint.revision(lacking) != before


def test_a_file_of_other_weights_is_refused(whole: CaptionerModel, lacking: Path) -> None:
    weights = others(whole)
    extra = {"difference.query.weight": torch.zeros(1)}
    for wrong, word in (
        (weights | extra, "difference.query.weight"),
        ({key: value for key, value in weights.items() if key != "adapter.bias"}, "adapter.bias"),
        (weights | {"adapter.bias": torch.zeros(3)}, "adapter.bias"),
    ):
        save_file(wrong, lacking / FETCHED.file)
        with pytest.raises(CheckpointError, match=word):
            checkpoint.load(lacking, torch.float32)
    (lacking / FETCHED.file).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(lacking, torch.float32)


@pytest.mark.parametrize("file", ["../up.safetensors", "/root.safetensors", "weights.pt", ""])
def test_the_file_lies_in_the_directory(file: str) -> None:
    with pytest.raises(ValidationError):
        FetchedConfig(**{**FETCHED.model_dump(), "file": file})
    with pytest.raises(ValidationError):
        FetchedConfig(**{**FETCHED.model_dump(), "surprise": 1})
