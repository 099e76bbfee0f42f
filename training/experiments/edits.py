"""``python -m training reproduce adc``: the rows of Takeuchi et al. (DCASE 2023), on equal terms.

AudioDiffCaps' licence keeps it from being passed on, so the pairs are of edits, in scenes of the
kinds that its rain scenes have, of ESC-50's recordings. Everything lies in one folder and is done
once: frames, and a result per row and seed; a study that was stopped goes on where it was.

Shapes: T frames, D features, L tokens, M frames of the decoder's memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerFast

from model.adapters import LinearAdapter
from model.captioner import CaptionerModel
from model.checkpoint import load_encoder
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    ConcentratedConfig,
    LinearAdapterConfig,
    MaskingConfig,
    SubtractionConfig,
)
from model.contracts import Parts
from model.decoders import DECODERS
from model.difference import DIFFERENCES
from model.encoders import ENCODERS
from model.levels import Levels
from training.captions.edits import sentence
from training.captions.tokenizer import train_tokenizer
from training.datasets.esc50.read import TEST_FOLDS, TRAIN_FOLDS, read_meta
from training.experiments import runs
from training.experiments.edit_testing import test
from training.fit import Budget, Stage, fit, logged
from training.losses import Disentangling
from training.losses.disentangling import When
from training.samples.edits import Edits, Pair
from training.samples.frames import KeptFrames
from training.samples.kept_pairs import STYLE, Kept, KeptPairs, both_ways, load, save
from training.scenes import store

SOUNDS = ("rain", "dog", "thunderstorm", "footsteps", "chirping_birds")
"""ESC-50's kinds: those of AudioDiffCaps' rain scenes."""
TRAINING = 1600
"""Pairs."""
TESTING = {"add": 60, "level": 60, "none": 40, "two": 40, "replace": 20, "move": 20}
"""Pairs to test on, by what was done."""
TWO = ("add", "level")
BANDS = 8
WIDTH, HEADS, FFN = 128, 4, 512
HIDDEN = 64
"""Of the embedding networks."""
VOCABULARY = 300
STEPS, BATCH, RATE = 400, 32, 1e-3


@dataclass(frozen=True)
class Row:
    """What a row has of its own."""

    difference: str = "concentrated"
    concentrated: bool = True
    when: When | None = None
    weight: float = 0.0


ROWS = {
    "plain": Row(concentrated=False),
    "cac": Row(),
    **{f"cac-early-{weight:g}": Row(when="early", weight=weight) for weight in (0.5, 1.0, 2.0)},
    **{f"cac-late-{weight:g}": Row(when="late", weight=weight) for weight in (0.5, 1.0, 2.0)},
    "masking": Row("masking"),
    "subtraction": Row("subtraction"),
}
"""The paper's, and for scale the blocks that see what the input has alone."""


def reproduce(
    *, esc50: Path, encoder: Path, output: Path, seeds: int, part: tuple[int, int] = (0, 1)
) -> None:
    """Train and test every row with every seed; ``part`` (n, m) does every m-th.

    ``encoder`` is a checkpoint directory, whose encoder is frozen.
    """
    left = runs.left(output, ROWS, seeds, part)
    if not left:
        return
    pairs = {split: _pairs(split, esc50, encoder, output) for split in ("train", "test")}
    tokenizer = train_tokenizer(
        [sentence(each, STYLE) for pair in pairs["train"] for each in both_ways(pair.edits)],
        VOCABULARY,
    )
    for name, seed in left:
        print(f"{name}, seed {seed}", flush=True)
        found = _run(ROWS[name], seed, pairs, tokenizer, runs.folder(output, name, seed))
        runs.keep(output, name, seed, {**asdict(ROWS[name]), **found})


def _run(
    row: Row,
    seed: int,
    pairs: Mapping[str, Sequence[Kept]],
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = captioner(row, pairs["train"][0].after.shape[1], len(tokenizer))
    loss = Disentangling(model, when=row.when, weight=row.weight, hidden=HIDDEN)
    budget = Budget(
        STEPS, BATCH, RATE, STEPS // 10, save_steps=STEPS, workers=0, seed=seed, weight_decay=0.01
    )
    samples = KeptPairs(pairs["train"], tokenizer, seed)
    last = fit(Stage("edits", samples, loss, "", budget), folder)
    losses = logged(last, "loss")
    shutil.rmtree(folder)
    model.train(False)
    return {"steps": STEPS, "losses": losses, **test(model, tokenizer, pairs["test"])}


def captioner(row: Row, width: int, vocabulary: int) -> CaptionerModel:
    """Small, on frames of ``width`` features."""
    decoder = BartDecoderConfig(
        vocab_size=vocabulary, width=WIDTH, layers=2, heads=HEADS, ffn=FFN, max_positions=256
    )
    blocks = {
        "masking": MaskingConfig(),
        "subtraction": SubtractionConfig(),
        "concentrated": ConcentratedConfig(
            memory=WIDTH, heads=HEADS, ffn=FFN, concentrated=row.concentrated
        ),
    }
    block = blocks[row.difference]
    config = CaptionerConfig(adapter=LinearAdapterConfig(), difference=block, decoder=decoder)
    parts = Parts(
        KeptFrames(),  # type: ignore[arg-type]
        LinearAdapter(inputs=width, width=WIDTH),
        DIFFERENCES[row.difference](width=WIDTH, **block.keywords()),
        DECODERS[decoder.name](**decoder.keywords()),
    )
    return CaptionerModel(config, parts)


# -- frames -----------------------------------------------------------------------------------


def _pairs(split: str, esc50: Path, encoder: Path, output: Path) -> list[Kept]:
    """Read, or made and heard first."""
    path = output / "pairs" / f"{split}.pt"
    if not path.exists():
        save([*_heard(split, esc50, encoder, output)], path)
    return load(path)


def _heard(split: str, esc50: Path, encoder: Path, output: Path) -> Iterator[Kept]:
    config = CaptionerConfig.from_pretrained(encoder).encoder
    network = ENCODERS[config.name](**config.keywords())
    load_encoder(network, encoder)
    assert isinstance(network, nn.Module)
    network.train(False)
    rate, frame_s = network.sample_rate, network.frame_s
    levels = Levels(bands=BANDS, sample_rate=rate, frame_s=frame_s)
    folds = TRAIN_FOLDS if split == "train" else TEST_FOLDS
    recordings = store.build(output / "recordings" / split, _sources(esc50, folds), rate)
    made = Edits(recordings, _untold, sample_rate=rate, seed=0)

    @torch.no_grad()
    def hear(samples: np.ndarray) -> Tensor:
        clip = torch.from_numpy(samples)
        frames = network.encode([clip])[0]
        loud = levels(clip[None], torch.tensor([len(clip)]), len(frames))[0]
        return torch.cat([frames, loud], dim=1).half()

    for name, pair in tqdm(_drawn(split, made), desc=split):
        before, after = hear(pair.before), hear(pair.after)
        yield Kept(name, before, after, pair.edits, _where(pair, len(after), round(rate * frame_s)))


def _drawn(split: str, made: Edits) -> Iterator[tuple[str, Pair]]:
    if split == "train":
        for number in range(TRAINING):
            yield "train", made.pair(np.random.default_rng((0, number)))
        return
    for name, count in TESTING.items():
        kinds = {"none": (), "two": TWO}.get(name, (name,))
        for _, pair in made.drawn(kinds, count):
            yield name, pair


def _where(pair: Pair, frames: int, frame: int) -> Tensor:
    """[T] bool: the frames with a tenth of the power of the loudest that the edits change."""
    padded = np.pad(pair.apart, (0, max(0, frames * frame - len(pair.apart))))[: frames * frame]
    power = np.square(padded).reshape(frames, frame).mean(axis=1)
    return torch.from_numpy(power > 0.1 * max(float(power.max()), 1e-12))


def _sources(esc50: Path, folds: Collection[int]) -> list[store.Source]:
    kinds = {row["filename"]: row["category"] for row in read_meta(esc50)}
    return [one for one in store.esc50_sources(esc50, folds) if kinds[one.path.name] in SOUNDS]


def _untold(sentence: str, style: str) -> Tensor:
    raise NotImplementedError(f"{sentence!r} in {style}: pairs are drawn without their sentences")
