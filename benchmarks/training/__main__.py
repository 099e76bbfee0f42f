"""``python -m benchmarks.training``: how many samples a second each stage of ``hearing`` takes.

Recordings are sounds made in code and all weights are random, which makes no difference to the
speed. Samples are made in this process; in training another one makes them while the model learns
(``data_wait`` in a run's logs is what it waits for all the same).
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch

from model.checkpoint import save_encoder
from model.config import CaptionerConfig
from model.encoders import MobileNet
from model.encoders.efficientat import EfficientAtNetwork
from training.captions.sentences import Sentence
from training.fit import Stage
from training.recipes.hearing import HEARING, HearingSources
from training.samples import tracks
from training.samples.collate import collate
from training.samples.teacher import Teacher
from training.scenes.store import SAMPLE_RATE, Source, build
from training.scenes.synthetic import synthesize

SAID = {
    "siren": ("Siren", "a siren wails"),
    "telephone_ring": ("Telephone bell ringing", "a telephone rings"),
    "knocks": ("Knock", "someone knocks on a door"),
    "engine": ("Engine", "an engine is running"),
    "whistle": ("Whistling", "someone is whistling"),
    "clock_tick": ("Tick", "a clock is ticking"),
}
"""Source of sound -> AudioSet's label, and what is said of it."""
TAKES = 4


def main() -> None:
    """Print the report, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="batches of each stage (5)")
    parser.add_argument("--batch", type=int, help="samples of a step (the recipe's)")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = replace(HEARING["full"], caption_steps=1)  # so that it is measured, too
    if arguments.batch:
        recipe = replace(recipe, batch_size=arguments.batch)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {device}\n")
    print("| stage | batch | made, samples/s | learned, samples/s |\n|---|---|---|---|")
    with TemporaryDirectory() as folder:
        for stage in recipe.plan(sources(Path(folder)), 0).stages:
            size = stage.budget.batch_size
            made_s, learned_s = measure(stage, arguments.rounds, device)
            print(f"| {stage.name} | {size} | {size / made_s:.1f} | {size / learned_s:.1f} |")


def sources(folder: Path) -> HearingSources:
    """A few recordings of each kind, written to ``folder``, and a sentence of each."""
    files = []
    for name, (label, _) in SAID.items():
        for take in range(TAKES):
            path = folder / f"{name}-{take}.wav"
            samples = synthesize(name, np.random.default_rng(take), SAMPLE_RATE)
            soundfile.write(path, samples, SAMPLE_RATE)
            files.append(Source(path, path.name, (label,), name))
    torch.manual_seed(0)
    teacher = Teacher(EfficientAtNetwork())
    save_encoder(folder / "start", MobileNet(), CaptionerConfig())
    store = build(folder / "store", files)
    return HearingSources(
        store=store,
        tracks=tracks.build(folder / "store", store, range(len(store)), teacher),
        known={},
        sentences=[Sentence(text, ((label,),), (), "audiocaps") for label, text in SAID.values()],
        teacher=teacher,
        start=folder / "start",
    )


def measure(stage: Stage, rounds: int, device: torch.device) -> tuple[float, float]:
    """Median seconds of making a batch and of a step on it, after one that does not count."""
    loss = stage.loss.to(device).train()
    for name, parameter in loss.named_parameters():
        parameter.requires_grad_(re.search(stage.trainable, name) is not None)
    learning = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-4)
    size = stage.budget.batch_size
    made, learned = [], []
    for turn in range(rounds + 1):
        began = time.perf_counter()
        samples = [stage.samples[index] for index in range(turn * size, (turn + 1) * size)]
        batch = {name: each.to(device) for name, each in collate(samples).items()}
        made.append(time.perf_counter() - began)
        began = time.perf_counter()
        loss(**batch)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize()
        learned.append(time.perf_counter() - began)
    return median(made[1:]), median(learned[1:])


if __name__ == "__main__":
    main()
