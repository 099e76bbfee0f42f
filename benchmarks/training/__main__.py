"""``python -m benchmarks.training``: what a training step spends its time on.

The joint stage of the bundled recipe, on sounds made in code: batches of 32 scenes of 5 s, two
thirds of them with a reference. Mixing is timed in this process; in training another one does it
while the model learns (``data_wait`` in a run's logs is what it waits for all the same).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from model.captioner import CaptionerModel
from training.losses import Captioning
from training.recipes import RECIPES
from training.recipes.masking import Sources
from training.samples.collate import collate
from training.samples.pairs import Blend, CaptionPairs
from training.scenes.bank import SoundBank

BATCH = 32


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="batches (7)")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bank = SoundBank([], sample_rate=16_000)
    plan = RECIPES["masking"]["smoke"].plan(Sources(bank, []), 0)
    model: CaptionerModel = plan.model.to(device)  # type: ignore[arg-type]
    captioning = Captioning(model).train()
    optimizer = torch.optim.AdamW(captioning.parameters(), lr=1e-4)
    data = CaptionPairs(bank, plan.tokenizer, batch_size=BATCH, seed=0, blend=Blend(long_share=0.0))
    spent: dict[str, list[float]] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent.setdefault(name, []).append(time.perf_counter() - began)
        return found

    for turn in range(arguments.rounds + 1):
        if turn == 1:
            spent.clear()  # the first was the warm-up
        indices = range(turn * BATCH, (turn + 1) * BATCH)
        batch = timed("mixing", lambda i=indices: collate([data[n] for n in i]))
        batch = {name: each.to(device) for name, each in batch.items()}
        sounds = [batch["inputs"], batch["references"]]
        mels = timed("log-mel", lambda s=sounds: [model.encoder.front_end(each) for each in s])
        timed("log-mel, clip by clip", lambda s=sounds: _single(model, s))
        lengths = (batch["lengths"], batch["reference_lengths"])
        counts = [model.encoder.front_end.frame_counts(each) for each in lengths]
        timed(
            "encoder, forward",
            lambda m=mels, c=counts: [
                model.encoder.from_log_mel(each, count) for each, count in zip(m, c, strict=True)
            ],
        )
        loss = timed("whole step, forward", lambda b=batch: captioning(**b))["loss"]
        timed("whole step, backward", loss.backward)
        timed("optimizer", optimizer.step)
        optimizer.zero_grad()
    step = ("whole step, forward", "whole step, backward", "optimizer")
    each = {name: median(times) for name, times in spent.items()}
    total = sum(each[name] for name in step)
    rest = each["whole step, forward"] - each["log-mel"] - each["encoder, forward"]
    each["adapter, diff block and decoder, forward"] = rest
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}\n")
    print(f"{BATCH / total:.1f} samples/s; a step takes {total * 1000:.0f} ms\n")
    print("| part | ms | share of a step |\n|---|---|---|")
    for name, seconds in each.items():
        print(f"| {name} | {seconds * 1000:.1f} | {seconds / total:.3f} |")


def _single(model: CaptionerModel, sounds: list[torch.Tensor]) -> None:
    for clips in sounds:
        for clip in clips:
            model.encoder.front_end(clip[None])


if __name__ == "__main__":
    main()
