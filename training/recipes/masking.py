"""A compact CNN14 and the masking block learn tags, then captions.

The paper keeps its encoder, trained on far more sound, frozen throughout; ours learns on with the
captions after a start with it frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import compact
from training.captions import grammar
from training.captions.kinds import KINDS
from training.captions.tokenizer import MAX_TOKENS, train_tokenizer
from training.datasets.clotho import read as clotho
from training.datasets.clotho.read import RenderableCaption
from training.datasets.esc50 import read as esc50
from training.fit import Budget, Stage
from training.losses import Captioning, Comparing, Tagging
from training.recipes.recipe import ALL_BUT_ENCODER, Data, Plan
from training.samples.comparing import ComparingScenes
from training.samples.pairs import CaptionPairs
from training.samples.tagging import TaggingScenes
from training.scenes.bank import SoundBank

VOCAB_SIZE = 2000
SAMPLE_RATE = 16_000
FOLDS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Sources:
    """The data of a run."""

    bank: SoundBank
    human: Sequence[RenderableCaption]


@dataclass(frozen=True)
class Masking:
    """Encoder on tags of mixtures, with the diff block on tags of differences; then captions.

    All but the encoder starts on them, then it learns, too.
    """

    tagging_steps: int = 4400
    comparing_steps: int = 3200
    captioning_steps: int = 900
    joint_steps: int = 1800
    batch_size: int = 32
    workers: int = 1

    def sources(self, data: Data, run_dir: Path) -> Sources:  # noqa: ARG002
        """Recordings of ESC-50, and Clotho's captions that speak of nothing else."""
        folds = data.folds or FOLDS
        recordings = (
            esc50.load(data.esc50, folds, SAMPLE_RATE, data.esc10_only) if data.esc50 else []
        )
        with_humans = recordings and not data.esc10_only
        human = clotho.renderable(data.clotho, "development") if data.clotho and with_humans else []
        return Sources(SoundBank(recordings, sample_rate=SAMPLE_RATE), human)

    def plan(self, sources: Sources, seed: int) -> Plan:
        """The compact model and its four stages."""
        tokenizer = train_tokenizer(_captions(sources, seed), VOCAB_SIZE)
        torch.manual_seed(seed)
        model = CaptionerModel(compact(len(tokenizer)))
        bank, size = sources.bank, self.batch_size
        frame = round(model.encoder.frame_s * bank.sample_rate)

        def pairs(seed: int) -> CaptionPairs:
            return CaptionPairs(bank, tokenizer, batch_size=size, seed=seed, human=sources.human)

        def budget(steps: int, batch_size: int, learning_rate: float) -> Budget:
            return Budget(steps, batch_size, learning_rate, workers=self.workers, seed=seed)

        tagging = TaggingScenes(bank, seed=seed, frame=frame)
        comparing = ComparingScenes(bank, seed=seed, frame=frame)
        kinds, loss = len(KINDS), Captioning(model)
        stages = [
            Stage("tagging", tagging, Tagging(model.encoder, kinds), "",
                  budget(self.tagging_steps, size, 1.5e-3)),
            Stage("comparing", comparing, Comparing(model, kinds), "",
                  budget(self.comparing_steps, size // 2, 1e-3)),
            Stage("captioning", pairs(seed), loss, ALL_BUT_ENCODER,
                  budget(self.captioning_steps, size, 8e-4)),
            Stage("joint", pairs(seed + 1), loss, "", budget(self.joint_steps, size, 4e-4)),
        ]  # fmt: skip
        return Plan(model, tokenizer, baseline_search(max_length=MAX_TOKENS), stages)


MASKING = {"full": Masking(), "smoke": Masking(4, 4, 4, 4, batch_size=4, workers=0)}


def _captions(sources: Sources, seed: int) -> list[str]:
    """What the tokenizer learns from: each clause many times over, and the human sentences."""
    rng = np.random.default_rng(seed)
    captions = [caption.caption for caption in sources.human]
    for kind in sources.bank.kinds:
        event = grammar.Event(kind, 0.0, 1.0)
        captions += grammar.captions([event], rng, count=30)
    for spans in [((0, 1), (2, 3)), ((0, 2), (0, 2)), ((0, 1), (2, 3), (4, 5)), ((0, 2),) * 3]:
        for _ in range(300):
            kinds = rng.choice(sources.bank.kinds, len(spans), replace=False)
            events = [grammar.Event(str(k), *span) for k, span in zip(kinds, spans, strict=True)]
            captions += grammar.captions(events, rng, count=3)
    captions += grammar.no_difference_captions(rng, 5)
    captions += grammar.silence_captions(rng, 5) + grammar.silence_captions(rng, 5, near=True)
    return captions
