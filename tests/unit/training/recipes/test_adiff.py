"""The recipe ``adiff`` on a handful of recordings, and the checkpoint that comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine.captioner import Captioner
from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import WEIGHTS, baseline_search
from model.types import GenerationOptions, SourceInfo, Waveform
from training.evaluation.files import wav
from training.fit import fit
from training.recipes import RECIPES
from training.recipes.adiff import ASKED, Explanations, answered, asked
from training.recipes.recipe import Data
from training.samples.explained import PROMPTS
from training.train import FINAL, export, train

RATE = 8000


@pytest.fixture
def base(tmp_path: Path, captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> Path:
    path = tmp_path / "checkpoints" / "base"
    checkpoint.save(path, captioner, tokenizer, baseline_search(max_length=30))
    return path


@pytest.fixture
def data(tmp_path: Path, base: Path) -> Data:
    """Two recordings each of four kinds, as ESC-50 lays them, and two published answers."""
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
    answers = tmp_path / "adiff"
    for name in ("ACD", "CLD"):
        (answers / name).mkdir(parents=True)
        (answers / name / f"{name}_answer.csv").write_text(
            f"input,answer\nsay,Audio 1 of {name}.\n"
        )
    return Data(root, None, None, None, Path("none"), start=base, adiff=answers)


def smoke(**changed: Any) -> Explanations:
    recipe = RECIPES["adiff"]["smoke"]
    assert isinstance(recipe, Explanations)
    return Explanations(**{**vars(recipe), **changed})


def state(model: CaptionerModel) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """Of which parts a weight is another."""
    names = {key for key, value in before.items() if not torch.equal(value, after[key])}
    return {".".join(name.split(".")[: 2 if name.startswith("decoder") else 1]) for name in names}


def test_each_stage_moves_what_it_may(data: Data, tmp_path: Path) -> None:
    recipe = smoke()
    plan = recipe.plan(recipe.sources(data, tmp_path / "run"), 0)
    moves = {}
    for stage in plan.stages:
        before = state(plan.model)
        fit(stage, tmp_path / "run")
        moves[stage.name] = moved(before, state(plan.model))
    before_words = {"difference", "decoder.prompt", "decoder.cross"}
    assert moves == {
        "language": {"decoder.gpt"},
        "grounding": before_words,
        "tuning": {*before_words, "decoder.gpt"},
    }
    rates = {stage.name: stage.budget.learning_rate for stage in plan.stages}
    assert rates["tuning"] == pytest.approx(rates["grounding"] / 10)


def test_a_run_makes_a_checkpoint_that_answers_every_tier(
    data: Data, base: Path, tmp_path: Path
) -> None:
    run, explain = tmp_path / "run", base.parent / "explain"
    train(recipe="adiff", data=data, output=run, scale="smoke")
    export(run, explain, "float32", share=base)
    before, own = load_file(base / WEIGHTS), load_file(explain / WEIGHTS)
    assert not [name for name in own if name.startswith(("encoder.", "adapter."))]
    final = load_file(run / FINAL / WEIGHTS)
    kept = [name for name in before if name.startswith(("encoder.", "adapter."))]
    assert len(kept) > 10
    assert all(torch.equal(before[name], final[name]) for name in kept)
    captioner = Captioner.from_dir(base, "cpu", others={"explain": explain})
    sound = torch.rand(2 * RATE, generator=torch.Generator().manual_seed(1)) - 0.5
    clip = Waveform(sound, RATE, SourceInfo(2.0, RATE, 1, "wav"))
    for detail in ("words", "sentence", "paragraph"):
        options = GenerationOptions(style="explain", detail=detail, max_new_tokens=5)
        [told] = captioner.difference([(clip, clip)], options)
        assert told.captions


def test_clips_are_heard_once(data: Data, tmp_path: Path) -> None:
    recipe = smoke()
    first = recipe.sources(data, tmp_path / "run").kept
    written = (tmp_path / "run" / "clips" / "frames.float16").stat().st_mtime_ns
    again = recipe.sources(data, tmp_path / "run").kept
    assert (tmp_path / "run" / "clips" / "frames.float16").stat().st_mtime_ns == written
    assert [*first.facts] == [*again.facts]
    assert all(torch.equal(a, b) for a, b in zip(first.frames, again.frames, strict=True))
    assert len(first.facts) == recipe.clips


def test_ablations_are_settings(data: Data, tmp_path: Path) -> None:
    recipe = smoke(cross_layers=0, separator=False, language_steps=0, position_share=0.0, deaf=True)
    plan = recipe.plan(recipe.sources(data, tmp_path / "run"), 0)
    assert [stage.name for stage in plan.stages] == ["grounding", "tuning"]
    assert plan.model.config.decoder.separator_token_id is None
    assert not [name for name in plan.model.state_dict() if name.startswith("decoder.cross")]
    samples = [plan.stages[0].samples[n] for n in range(20)]
    assert all(
        float(one[name].abs().max()) == 0 for one in samples for name in ("input", "reference")
    )
    prompts = {tuple(one["prompt"].tolist()) for one in samples}
    tiers = [text for kind in ("words", "sentence", "paragraph") for text in PROMPTS[kind]]
    assert prompts <= {tuple(asked(plan.tokenizer, text).tolist()) for text in tiers}


def test_prompts_fit_and_answers_end(tokenizer: PreTrainedTokenizerFast) -> None:
    for prompts in PROMPTS.values():
        for prompt in prompts:
            assert asked(tokenizer, prompt).shape == (ASKED,)
    assert int(answered(tokenizer, "Rain " * 500)[-1]) == tokenizer.eos_token_id
