"""The one training loop: fits a stage on ``transformers.Trainer``."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset, Sampler, SequentialSampler, Subset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import SAFE_WEIGHTS_NAME

from training.samples.collate import Sample, collate


@dataclass(frozen=True)
class Budget:
    """How long and how fast a stage learns."""

    steps: int
    batch_size: int
    """Samples of a step, of all processes together."""
    learning_rate: float
    warmup_steps: int = 200
    weight_decay: float = 0.05
    save_steps: int = 200
    workers: int = 1
    """Processes that mix scenes while the model learns."""
    seed: int = 0


@dataclass(frozen=True)
class Stage:
    """What learns what, from which samples, for how long."""

    name: str
    samples: Dataset[Sample]
    """As many as the budget takes are drawn, in order."""
    loss: nn.Module
    """Takes what ``collate`` returns; its output has a ``loss``."""
    trainable: str
    """A regular expression: the parameters of ``loss`` whose names it matches learn."""
    budget: Budget
    validation: Dataset[Sample] | None = None
    """The loss of these is told whenever a checkpoint is saved, and the best one is kept."""
    after_step: Callable[[], None] | None = None
    """Called after each step of the optimizer."""
    schedule: Callable[[float], float] | None = None
    """Share of the budget that is done -> factor of the learning rate; None: a cosine after a
    warm-up."""


class _AfterStep(TrainerCallback):  # type: ignore[misc, unused-ignore]
    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.call()


class _StageTrainer(Trainer):  # type: ignore[misc, unused-ignore]
    """Transformers' trainer for a loss that is a plain module."""

    model: nn.Module
    train_dataset: Sized

    def __init__(self, schedule: Callable[[float], float] | None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.schedule = schedule
        self.logged_at = time.perf_counter()
        self.waited_s = 0.0  # for data, since the last log

    def get_batch_samples(self, *arguments: Any) -> Any:
        """Take time: mixing on the fly must not starve the model."""
        began = time.perf_counter()
        try:
            return super().get_batch_samples(*arguments)
        finally:
            self.waited_s += time.perf_counter() - began

    def log(self, logs: dict[str, float], *arguments: Any, **keywords: Any) -> None:
        """Log the share of time that the model waited for data, too."""
        now = time.perf_counter()
        if "loss" in logs:
            logs["data_wait"] = round(self.waited_s / (now - self.logged_at), 4)
            self.waited_s, self.logged_at = 0.0, now
        super().log(logs, *arguments, **keywords)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Transformers', unless the stage has its own."""
        if self.schedule is not None and self.lr_scheduler is None:
            factor = self.schedule
            self.lr_scheduler = LambdaLR(
                cast(Optimizer, optimizer or self.optimizer),
                lambda step: factor(step / num_training_steps),
            )
        return super().create_scheduler(num_training_steps, optimizer)

    def prediction_step(self, model: nn.Module, inputs: Any, *_: Any, **__: Any) -> Any:
        """The loss alone: nothing else is evaluated."""
        with torch.no_grad():
            return self.compute_loss(model, self._prepare_inputs(inputs)), None, None

    def _load_best_model(self) -> None:
        """Keep the last weights: ``best`` says where the best are."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:  # noqa: ARG002
        """In order: samples are random already, and those of one batch share their length."""
        return SequentialSampler(self.train_dataset)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        """Tied weights are stored once, which Transformers does only for its own models."""
        if not self.args.should_save:  # another process of torchrun does
            return
        target = Path(str(output_dir or self.args.output_dir))
        target.mkdir(parents=True, exist_ok=True)
        save_model(self.model, str(target / SAFE_WEIGHTS_NAME))

    def _load_from_checkpoint(
        self,
        resume_from_checkpoint: str,
        model: Any = None,  # noqa: ARG002
    ) -> None:
        load_weights(self.model, Path(resume_from_checkpoint))


_EVALUATION: dict[str, Any] = {
    "eval_strategy": "steps",
    "load_best_model_at_end": True,  # else the best checkpoint would not be kept
    "metric_for_best_model": "loss",
    "greater_is_better": False,
}


def best(last: Path) -> Path:
    """Of a stage with ``validation``, given its last checkpoint: the one with the lowest loss."""
    state = json.loads((last / "trainer_state.json").read_text())
    return last.with_name(Path(state["best_model_checkpoint"]).name)


def logged(last: Path, name: str) -> list[tuple[int, float]]:
    """Of a stage, given its last checkpoint: steps at which ``name`` was logged, and its values."""
    history = json.loads((last / "trainer_state.json").read_text())["log_history"]
    return [(entry["step"], entry[name]) for entry in history if name in entry]


def curves(last: Path) -> dict[str, list[tuple[int, float]]]:
    """Of a stage, given its last checkpoint: its ``losses``, and those of ``validation``."""
    return {
        name: [(step, round(value, 4)) for step, value in logged(last, key)]
        for name, key in (("losses", "loss"), ("validation", "eval_loss"))
    }


def load_weights(loss: nn.Module, checkpoint: Path) -> None:
    """Read what a stage saved; every weight must be there."""
    load_model(loss, checkpoint / SAFE_WEIGHTS_NAME)


def fit(stage: Stage, run_dir: Path) -> Path:
    """Train a stage to the end of its budget, with checkpoints in ``run_dir``/its name.

    Returns the last of them, whose weights the loss then has. Resumes from the last one that is
    there. Mixed precision (bfloat16) on a GPU; several processes when started by ``torchrun``,
    which share each batch; TensorBoard logs beside the checkpoints. Raises ValueError if a batch
    cannot be shared evenly.
    """
    for name, parameter in stage.loss.named_parameters():
        parameter.requires_grad_(re.search(stage.trainable, name) is not None)
    output = run_dir / stage.name
    budget = stage.budget
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if budget.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share batches of {budget.batch_size}")
    on_cpu = not torch.accelerator.is_available()
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=budget.steps,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and processes > 1 else None,
        per_device_train_batch_size=budget.batch_size // processes,
        learning_rate=budget.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=budget.warmup_steps,
        weight_decay=budget.weight_decay,
        max_grad_norm=1.0,
        bf16=torch.cuda.is_available(),
        save_steps=budget.save_steps,
        save_total_limit=2,
        logging_steps=20,
        report_to=["tensorboard"],
        seed=budget.seed,
        dataloader_num_workers=budget.workers,
        dataloader_persistent_workers=budget.workers > 0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        label_names=[],
        **_EVALUATION if stage.validation else {},
        eval_steps=budget.save_steps,
    )
    end = output / f"checkpoint-{budget.steps}"
    last = None
    if output.is_dir():
        last = get_last_checkpoint(str(output))  # type: ignore[no-untyped-call]
    if last is not None and Path(last) == end:
        load_weights(stage.loss, end)  # this stage is done
        return end
    trainer = _StageTrainer(
        schedule=stage.schedule,
        model=stage.loss,
        args=arguments,
        train_dataset=Subset(stage.samples, range(budget.steps * budget.batch_size)),
        eval_dataset=stage.validation,
        data_collator=collate,
    )
    if stage.after_step is not None:
        trainer.add_callback(_AfterStep(stage.after_step))
    trainer.train(resume_from_checkpoint=last)
    stage.loss.cpu()  # the workers of a later stage may hear with what was learned
    return end
