"""The training loop: it learns, it goes on after a kill as if nothing had happened, it stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import Dataset, Subset

from model.captioner import CaptionerModel
from training.fit import Budget, Stage, best, fit, load_weights
from training.losses import Captioning
from training.samples.collate import collate

DECODER = r"^captioner\.(?!encoder\.)"


class KilledError(Exception):
    """Stands for whatever ends a run before its time."""


class Samples(Dataset[dict[str, Any]]):
    """Eight fixed samples over and over; ``until`` is where the run is killed."""

    def __init__(self, until: int | None = None) -> None:
        self.until = until
        random = torch.Generator().manual_seed(0)
        self.items = [
            {
                "input": 0.3 * torch.randn(4000, generator=random),
                "reference": 0.3 * torch.randn(3000, generator=random) if i % 2 else None,
                "tokens": torch.tensor([0, *torch.randint(4, 60, (4,), generator=random), 2]),
            }
            for i in range(8)
        ]

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.until is not None and index >= self.until:
            raise KilledError
        return self.items[index % 8]


@pytest.fixture
def captioners(captioner: CaptionerModel) -> Iterator[CaptionerModel]:
    """New captioners of one architecture, each with other weights."""

    def more() -> Iterator[CaptionerModel]:
        seed = 0
        while True:
            seed += 1
            torch.manual_seed(seed)
            yield CaptionerModel(captioner.config)

    return more()


def stage(
    model: CaptionerModel,
    data: Dataset[dict[str, Any]],
    steps: int,
    trainable: str = DECODER,
    learning_rate: float = 1e-2,
) -> Stage:
    budget = Budget(
        steps=steps,
        batch_size=4,
        learning_rate=learning_rate,
        warmup_steps=2,
        save_steps=2,
        workers=0,
    )
    return Stage("stage", data, Captioning(model), trainable, budget)


def weights(model: CaptionerModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def differing(one: dict[str, Tensor], two: dict[str, Tensor]) -> set[str]:
    assert one.keys() == two.keys()
    return {name for name in one if not torch.equal(one[name], two[name])}


def loss(model: CaptionerModel) -> float:
    with torch.inference_mode():
        output = Captioning(model).eval()(**collate(Samples().items))
    return float(output["loss"])


def test_a_stage_learns_and_logs(captioner: CaptionerModel, tmp_path: Path) -> None:
    before = loss(captioner)
    fit(stage(captioner, Samples(), steps=40), tmp_path)
    assert loss(captioner) < 0.6 * before

    (events,) = {path.parent for path in (tmp_path / "stage").rglob("events.out.tfevents.*")}
    logged = EventAccumulator(str(events)).Reload()
    first, last = logged.Scalars("train/loss")
    assert (first.step, last.step) == (20, 40)
    assert last.value < first.value
    waits = [scalar.value for scalar in logged.Scalars("train/data_wait")]
    assert len(waits) == 2
    assert all(0 <= wait <= 1 for wait in waits)


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    captioners: Iterator[CaptionerModel], tmp_path: Path
) -> None:
    """The same weights to the last bit: optimizer, schedule, dropout and place in the data."""
    at_once, cut = next(captioners), next(captioners)
    cut.load_state_dict(at_once.state_dict())
    start = weights(at_once)
    fit(stage(at_once, Samples(), steps=8), tmp_path / "at once")

    with pytest.raises(KilledError):
        fit(stage(cut, Samples(until=6 * 4), steps=8), tmp_path / "cut")
    saved = {path.name for path in (tmp_path / "cut" / "stage").glob("checkpoint-*")}
    assert "checkpoint-4" in saved
    assert "checkpoint-8" not in saved

    resumed = next(captioners)
    assert differing(weights(resumed), start)
    fit(stage(resumed, Samples(), steps=8), tmp_path / "cut")
    assert not differing(weights(resumed), weights(at_once))
    assert differing(weights(resumed), start)


def test_a_finished_stage_is_loaded_and_not_trained_again(
    captioners: Iterator[CaptionerModel], tmp_path: Path
) -> None:
    first, second = next(captioners), next(captioners)
    fit(stage(first, Samples(), steps=3), tmp_path)
    fit(stage(second, Samples(until=0), steps=3), tmp_path)
    assert not differing(weights(first), weights(second))


def test_only_what_the_pattern_names_learns(captioner: CaptionerModel, tmp_path: Path) -> None:
    before = weights(captioner)
    fit(stage(captioner, Samples(), steps=2, trainable=r"^captioner\.adapter\."), tmp_path)
    assert differing(before, weights(captioner)) == {"adapter.weight", "adapter.bias"}


def test_an_empty_pattern_trains_everything_again(
    captioner: CaptionerModel, tmp_path: Path
) -> None:
    captioner.requires_grad_(False)
    before = weights(captioner)
    fit(stage(captioner, Samples(), steps=2, trainable=""), tmp_path)
    moved = differing(before, weights(captioner))
    for part in ("encoder.", "adapter.", "difference.", "decoder."):
        assert any(name.startswith(part) for name in moved)
    assert not any("running_" in name for name in moved)


def test_a_stage_has_its_own_schedule_and_is_told_of_each_step(
    captioner: CaptionerModel, tmp_path: Path
) -> None:
    """The rate is nothing until half of the steps are done, and nothing is learned until then."""
    before = weights(captioner)
    changed: list[bool] = []
    waiting = replace(
        stage(captioner, Samples(), steps=4),
        after_step=lambda: changed.append(bool(differing(before, weights(captioner)))),
        schedule=lambda done: float(done >= 0.5),
    )
    fit(waiting, tmp_path)
    assert changed == [False, False, True, True]


def test_what_is_saved_is_what_was_trained(
    captioners: Iterator[CaptionerModel], tmp_path: Path
) -> None:
    trained, loaded = next(captioners), next(captioners)
    fit(stage(trained, Samples(), steps=2), tmp_path)
    assert differing(weights(trained), weights(loaded))
    load_weights(Captioning(loaded), tmp_path / "stage" / "checkpoint-2")
    assert not differing(weights(trained), weights(loaded))


def test_a_checkpoint_with_a_weight_missing_is_refused(
    captioner: CaptionerModel, tmp_path: Path
) -> None:
    fit(stage(captioner, Samples(), steps=1), tmp_path)
    captioning = Captioning(captioner)
    captioning.extra = torch.nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="extra"):
        load_weights(captioning, tmp_path / "stage" / "checkpoint-1")


def test_the_best_checkpoint_is_kept_beside_the_last(
    captioner: CaptionerModel, tmp_path: Path
) -> None:
    """Samples at random tokens: what is learned by heart does not hold for others."""
    held = Subset(Samples(), range(8))
    held.dataset.items = [{**one, "tokens": one["tokens"].flip(0)} for one in Samples().items]
    validated = replace(stage(captioner, Samples(), steps=30), validation=held)
    last = fit(validated, tmp_path)
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    losses = {entry["step"]: entry["eval_loss"] for entry in history if "eval_loss" in entry}
    found = best(last)
    assert losses[int(found.name.removeprefix("checkpoint-"))] == min(losses.values())
    assert found.is_dir()
    assert last.name == "checkpoint-30"
    kept = load_file(last / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in
               validated.loss.state_dict().items() if name in kept)  # fmt: skip
