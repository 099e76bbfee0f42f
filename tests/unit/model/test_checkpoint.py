"""A checkpoint directory: what is written is what is read, and trouble is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine.captioner import Captioner
from model import checkpoint
from model.captioner import CaptionerModel
from model.errors import CheckpointError
from model.types import GenerationOptions, Waveform

Save = Callable[..., Path]
Edit = Callable[[dict[str, Any]], object]


def edit_json(path: Path, edit: Edit) -> None:
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))


def edit_weights(path: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture
def saved(model: CaptionerModel, save_checkpoint: Save) -> Path:
    """A checkpoint directory that a test may spoil."""
    return save_checkpoint(model)


def test_round_trip(
    any_model: CaptionerModel,
    save_checkpoint: Save,
    tokenizer: PreTrainedTokenizerFast,
    search: dict[str, Any],
) -> None:
    loaded = checkpoint.load(save_checkpoint(any_model), torch.float32)
    before, after = any_model.state_dict(), loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert not loaded.model.training
    assert loaded.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert {name: getattr(loaded.generation, name) for name in search} == search


def test_captions_survive(
    any_model: CaptionerModel,
    save_checkpoint: Save,
    make_captioner: Callable[..., Captioner],
    make_waveform: Callable[..., Waveform],
) -> None:
    clip, reference = make_waveform(1600, 1), make_waveform(1200, 2)
    before = make_captioner(any_model)
    after = Captioner.from_dir(save_checkpoint(any_model), "cpu")
    options = GenerationOptions(num_beams=3, num_captions=3)
    assert after.caption([clip], options) == before.caption([clip], options)
    assert after.difference([(clip, reference)]) == before.difference([(clip, reference)])


def test_no_pickles_are_written(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {*checkpoint.FILES}
    for path in saved.iterdir():
        if path.suffix == ".json":
            json.loads(path.read_text())
    assert len(load_file(saved / "model.safetensors")) > 100


# -- revision ---------------------------------------------------------------------------------


def test_revision_is_of_the_content_alone(model: CaptionerModel, save_checkpoint: Save) -> None:
    one, two = save_checkpoint(model, "one"), save_checkpoint(model, "two")
    (two / "README.md").write_text("---\nmodel_name: other\n---\n")
    assert checkpoint.revision(one) == checkpoint.revision(two)
    assert len(checkpoint.revision(one)) == 12
    assert checkpoint.load(one, torch.float32).revision == checkpoint.revision(one)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "generation_config.json"])
def test_revision_changes_with_the_content(saved: Path, file: str) -> None:
    before = checkpoint.revision(saved)
    if file == "model.safetensors":
        edit_weights(saved / file, lambda tensors: tensors["adapter.bias"][0].add_(1e-3))
    elif file == "config.json":
        edit_json(saved / file, lambda fields: fields["encoder"]["front_end"].update(floor=1e-7))
    else:
        edit_json(saved / file, lambda fields: fields.update(num_beams=2))
    assert checkpoint.revision(saved) != before


# -- trouble ----------------------------------------------------------------------------------


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(CheckpointError) as trouble:
        checkpoint.load(path, torch.float32)
    for word in (str(path), *words):
        assert word in str(trouble.value)


@pytest.mark.parametrize("file", checkpoint.FILES)
def test_missing_file_is_named(saved: Path, file: str) -> None:
    (saved / file).unlink()
    assert_refused(saved, file, "missing")


def test_directory_that_is_none(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere", "not a checkpoint")
    (tmp_path / "file").write_text("")
    assert_refused(tmp_path / "file", "not a checkpoint")


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda fields: fields.update(surprise=1), "surprise"),
        (lambda fields: fields["encoder"].update(surprise=1), "surprise"),
        (lambda fields: fields.update(front_end=fields["encoder"].pop("front_end")), "front_end"),
        (lambda fields: fields["decoder"].update(heads="many"), "heads"),
        (lambda fields: fields["encoder"].update(name="resnet"), "resnet"),
        (lambda fields: fields["difference"].update(name="addition"), "addition"),
    ],
    ids=["key at the top", "key in a part", "former layout", "value", "encoder", "diff block"],
)
def test_trouble_in_the_configuration_is_named(saved: Path, edit: Edit, word: str) -> None:
    edit_json(saved / "config.json", edit)
    assert_refused(saved, word)


@pytest.mark.parametrize("name", ["num_beams", "max_length", "early_stopping", "length_penalty"])
@pytest.mark.parametrize("value", [None, "four"], ids=["missing", "wrong"])
def test_trouble_in_the_generation_settings_is_named(
    saved: Path, name: str, value: str | None
) -> None:
    edit_json(saved / "generation_config.json", lambda fields: fields.update({name: value}))
    assert_refused(saved, name)


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensors: tensors.update({"adapter.weight": torch.zeros(16, 7)}),
        lambda tensors: tensors.pop("adapter.weight"),
        lambda tensors: tensors.update({"adapter.weight.extra": torch.zeros(1)}),
    ],
    ids=["wrong shape", "missing", "extra"],
)
def test_weights_that_do_not_fit_are_named(
    saved: Path, edit: Callable[[dict[str, Tensor]], object]
) -> None:
    edit_weights(saved / "model.safetensors", edit)
    assert_refused(saved, "adapter.weight", "do not fit")


def test_weights_of_another_diff_block_do_not_fit(saved: Path) -> None:
    edit_json(saved / "config.json", lambda fields: fields["difference"].update(name="subtraction"))
    assert_refused(saved, "difference.query.weight")


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "generation_config.json"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_broken_json(saved: Path, file: str, content: str) -> None:
    (saved / file).write_text(content)
    assert_refused(saved)


@pytest.mark.parametrize("size", [0, 5, 3000])
def test_weights_cut_short(saved: Path, size: int) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert_refused(saved)


# -- precision --------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_on_disk_is_single_in_use(
    make_model: Callable[..., CaptionerModel],
    save_checkpoint: Save,
    make_waveform: Callable[..., Waveform],
    half: torch.dtype,
) -> None:
    saved = save_checkpoint(make_model().to(half))
    stored = load_file(saved / "model.safetensors")
    assert stored["adapter.weight"].dtype == half
    captioner = Captioner.from_dir(saved, "cpu", "float32")
    parameters = captioner.model.state_dict()
    assert parameters["encoder.norm.running_var"].dtype == torch.float32
    assert torch.equal(parameters["adapter.weight"], stored["adapter.weight"].float())
    assert captioner.caption([make_waveform(1600)])[0].best.text


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_the_encoders_norms_stay_in_single_precision(saved: Path, half: torch.dtype) -> None:
    model = checkpoint.load(saved, half).model
    assert model.dtype == half
    single = {name for name, value in model.named_parameters() if value.dtype == torch.float32}
    assert single == {
        name for name, _ in model.named_parameters() if re.match(r"encoder\.(.*\.)?norm", name)
    }
    assert len(single) > 2


# -- card -------------------------------------------------------------------------------------


def test_card_names_the_checkpoint(saved: Path) -> None:
    assert checkpoint.load(saved, torch.float32).name == "tiny"
    assert checkpoint.load(saved, torch.float32).card == {}
    card = (
        "---\nmodel_name: masking-test\nclasses:\n- dog\n- rain\n---\n# A card\n---\nlicense: x\n"
    )
    (saved / "README.md").write_text(card)
    loaded = checkpoint.load(saved, torch.float32)
    assert loaded.name == "masking-test"
    assert loaded.card == {"model_name": "masking-test", "classes": ["dog", "rain"]}


@pytest.mark.parametrize("card", ["", "# A card", "# A card\n---\na: b\n---\n", "---\n- a\n---\n"])
def test_card_without_fields(tmp_path: Path, card: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert checkpoint.read_card(tmp_path / "README.md") == {}


def test_broken_card(saved: Path) -> None:
    (saved / "README.md").write_text("---\nclasses: [dog\n---\n")
    assert_refused(saved, "classes")


def test_a_copy_elsewhere_loads(saved: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(saved, copy)
    assert checkpoint.load(copy, torch.float32).revision == checkpoint.revision(saved)
