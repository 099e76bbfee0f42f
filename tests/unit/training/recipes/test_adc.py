"""The recipe ``adc`` on a handful of recordings, and a checkpoint that shares its encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import WEIGHTS, baseline_search
from model.errors import CheckpointError
from training.evaluation.files import wav
from training.recipes.recipe import Data
from training.train import FINAL, export, train

RATE = 8000


@pytest.fixture
def base(tmp_path: Path, captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> Path:
    path = tmp_path / "checkpoints" / "base"
    checkpoint.save(path, captioner, tokenizer, baseline_search(max_length=30))
    return path


@pytest.fixture
def data(tmp_path: Path, base: Path) -> Data:
    """Two recordings each of four kinds, as ESC-50 lays them."""
    root, rng = tmp_path / "ESC-50", np.random.default_rng(0)
    (root / "audio").mkdir(parents=True)
    (root / "meta").mkdir()
    lines = ["filename,fold,category,esc10"]
    for number, kind in enumerate(("dog", "rain", "siren", "engine") * 2):
        name = f"1-{number}-A-{number}.wav"
        samples = rng.uniform(-0.3, 0.3, 2 * RATE).astype(np.float32)
        (root / "audio" / name).write_bytes(wav(samples, RATE))
        lines.append(f"{name},1,{kind},False")
    (root / "meta" / "esc50.csv").write_text("\n".join(lines))
    return Data(root, None, None, None, Path("none"), start=base)


def test_a_run_learns_block_and_decoder_and_leaves_the_encoder(
    data: Data, base: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(recipe="adc", data=data, output=run, scale="smoke")
    before, after = load_file(base / WEIGHTS), load_file(run / FINAL / WEIGHTS)
    kept = [name for name in before if name.startswith(("encoder.", "adapter."))]
    assert len(kept) > 10
    assert all(torch.equal(before[name], after[name]) for name in kept)
    shared = "decoder.bart.model.shared.weight"
    assert not torch.equal(before[shared], after[shared])
    assert any(name.startswith("difference.layers.1.") for name in after)

    changes = base.parent / "changes"
    export(run, changes, "float32", share=base)
    own = load_file(changes / WEIGHTS)
    assert not [name for name in own if name.startswith(("encoder.", "adapter."))]
    whole = checkpoint.load(changes, torch.float32)
    state = checkpoint.load(run / FINAL, torch.float32).model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.model.state_dict().items())
    revision = whole.revision
    base.rename(base.parent / "gone")
    with pytest.raises(CheckpointError, match="beside this one"):
        checkpoint.load(changes, torch.float32)
    (base.parent / "gone").rename(base)
    (base / WEIGHTS).write_bytes((base / WEIGHTS).read_bytes() + b"\0")
    assert checkpoint.revision(changes) != revision


def test_what_is_shared_must_be_alike_and_beside_it(
    data: Data, base: Path, tmp_path: Path, captioner: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
) -> None:  # fmt: skip
    run, other = tmp_path / "run", base.parent / "other"
    train(recipe="adc", data=data, output=run, scale="smoke")
    with pytest.raises(CheckpointError, match="is not beside"):
        export(run, tmp_path / "changes", "float32", share=base)
    with torch.no_grad():
        for parameter in captioner.parameters():
            parameter.add_(1)
    checkpoint.save(other, captioner, tokenizer, baseline_search(max_length=30))
    with pytest.raises(CheckpointError, match="no part"):
        export(run, base.parent / "changes", "float32", share=other)
