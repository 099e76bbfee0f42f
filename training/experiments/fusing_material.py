"""What all runs of EDTC's rows have in common: frames, BART, and what a twin reads through.

Shapes: B clips, T frames, D features.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from torch.utils.data import Dataset

from model.config import BartDecoderConfig, CaptionerConfig
from model.decoders import BartDecoder
from model.encoders import Ensemble
from model.runtimes.openvino import OpenVino
from training.captions.tokenizer import train_tokenizer
from training.experiments import encoders, esc_scenes
from training.experiments.esc_scenes import SPLITS, Roots
from training.fit import Budget, Stage, fit
from training.losses import Denoising, Pairing, TextEncoder
from training.losses.twinned import SMOOTHING
from training.recipes.adl import KeptSources
from training.recipes.edtc import Pairs
from training.samples import features
from training.samples.by_length import ByLength
from training.samples.collate import Sample
from training.samples.deleted import Deleted
from training.scenes.bank import SoundBank

WIDTHS = {"mobilenet": 384, "efficientat": 384, "yamnet": 1024}
"""Of the encoders' frames, in the order in which they lie side by side."""
FRAME_S = 0.32
VOCABULARY = 2000
WIDTH, HEADS, FFN = 128, 4, 512
BATCH = 32
BART_STEPS, TEXT_STEPS = 2500, 400


@dataclass(frozen=True)
class Study:
    """What it is."""

    output: Path
    sources: Mapping[str, KeptSources]
    """By split."""
    bart: BartDecoder
    """It has learned to say captions, not yet of what is heard."""
    text: TextEncoder


def decoder_config(vocabulary: int) -> BartDecoderConfig:
    """BART's, of all rows."""
    return BartDecoderConfig(
        vocab_size=vocabulary, width=WIDTH, layers=2, encoder_layers=1, heads=HEADS, ffn=FFN,
        max_positions=128,
    )  # fmt: skip


def prepare(roots: Roots, parts: Mapping[str, Path], output: Path) -> Study:
    """All of it, each kept in ``output`` and made where it is not there yet.

    Raises:
        CheckpointError: an encoder cannot be read.
    """
    scenes = output / "scenes"
    esc_scenes.build(roots, scenes)
    clips = {split: esc_scenes.read(scenes, split) for split in SPLITS}
    texts = [text for clip in clips["train"] for text in clip.captions]
    tokenizer = train_tokenizer(texts, VOCABULARY)

    @cache
    def ensemble() -> Ensemble:
        heard = [encoders.read(parts[name], OpenVino()) for name in WIDTHS]
        return Ensemble(parts=heard, frame_s=FRAME_S).eval()

    def renderer(split: str) -> features.Renderer:
        nothing = SoundBank([], sample_rate=ensemble().sample_rate)  # nothing is mixed in
        return features.Renderer(scenes, clips[split], nothing, ensemble(), 0)

    sources = {}
    for split in SPLITS:
        kept = features.keep(
            output / "features" / split,
            lambda split=split: renderer(split),  # type: ignore[misc]
            [],
            variants=0,
            joined=False,
        )
        sources[split] = KeptSources(clips[split], kept, tokenizer, CaptionerConfig())

    torch.manual_seed(0)
    bart = BartDecoder(**decoder_config(len(tokenizer)).keywords())
    _learnt(
        output / "bart.safetensors",
        bart,
        Denoising(bart, SMOOTHING),
        ByLength(Deleted(texts, tokenizer, seed=0), BATCH, seed=0),
        Budget(BART_STEPS, BATCH, 2e-3, BART_STEPS // 10, 0.01, BART_STEPS, workers=0),
    )
    torch.manual_seed(0)
    text = TextEncoder(vocab_size=len(tokenizer), width=WIDTH, layers=2, heads=HEADS)
    told = [clip.captions for clip in clips["train"] if len(set(clip.captions)) > 1]
    _learnt(
        output / "text.safetensors",
        text,
        Pairing(text),
        Pairs(told, tokenizer, seed=0),
        Budget(TEXT_STEPS, BATCH, 1e-3, TEXT_STEPS // 10, 0.01, TEXT_STEPS, workers=0),
    )
    return Study(output, sources, bart, text)


def _learnt(
    path: Path, module: nn.Module, loss: nn.Module, samples: Dataset[Sample], budget: Budget
) -> None:
    """Give ``module`` the weights in ``path``, which ``loss`` teaches where there are none."""
    if path.exists():
        load_model(module, path)
        return
    folder = path.parent / "runs" / f"{path.stem}-{os.getpid()}"
    fit(Stage(path.stem, samples, loss, "", budget), folder)
    shutil.rmtree(folder)
    half = path.with_suffix(f".{os.getpid()}")
    save_model(module, str(half))
    half.rename(path)
