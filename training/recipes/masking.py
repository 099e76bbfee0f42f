"""The bundled checkpoint: a compact CNN14 and the masking block learn tags, then captions.

The paper keeps its encoder, trained on far more sound, frozen throughout; ours learns on with the
captions after a start with it frozen.
"""

from __future__ import annotations

import numpy as np
import torch

from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import compact
from training.captions import grammar
from training.captions.kinds import KINDS
from training.captions.tokenizer import train_tokenizer
from training.fit import Budget, Stage
from training.losses import Captioning, Comparing, Tagging
from training.recipes.recipe import Plan, Scale, Sources
from training.samples import comparing, pairs, tagging
from training.samples.comparing import ComparingScenes
from training.samples.pairs import CaptionPairs
from training.samples.tagging import TaggingScenes

VOCAB_SIZE = 2000
EVERYTHING = 10_000_000
"""More samples than any budget draws: scenes are made on the fly."""


def masking(sources: Sources, scale: Scale, seed: int) -> Plan:
    """Encoder on tags of mixtures, with the diff block on tags of differences; then captions.

    All but the encoder starts on them, then it learns, too.
    """
    tokenizer = train_tokenizer(_captions(sources, seed), VOCAB_SIZE)
    torch.manual_seed(seed)
    model = CaptionerModel(compact(len(tokenizer)))
    frame = round(model.encoder.frame_s * sources.bank.sample_rate)

    def captions(seed: int) -> CaptionPairs:
        return CaptionPairs(
            sources.bank,
            tokenizer,
            size=EVERYTHING,
            batch_size=scale.batch_size,
            seed=seed,
            human=sources.human,
        )

    def budget(steps: int, batch_size: int, learning_rate: float) -> Budget:
        return Budget(
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            workers=scale.workers,
            seed=seed,
        )

    return Plan(
        model,
        tokenizer,
        baseline_search(max_length=64),
        [
            Stage(
                "tagging",
                Tagging(model.encoder, len(KINDS)),
                "",
                TaggingScenes(sources.bank, size=EVERYTHING, seed=seed, frame=frame),
                tagging.collate,
                budget(scale.tagging_steps, scale.batch_size, 1.5e-3),
            ),
            Stage(
                "comparing",
                Comparing(model, len(KINDS)),
                "",
                ComparingScenes(sources.bank, size=EVERYTHING, seed=seed, frame=frame),
                comparing.collate,
                budget(scale.comparing_steps, scale.batch_size // 2, 1e-3),
            ),
            Stage(
                "captioning",
                Captioning(model),
                r"^captioner\.(?!encoder\.)",
                captions(seed),
                pairs.collate,
                budget(scale.captioning_steps, scale.batch_size, 8e-4),
            ),
            Stage(
                "joint",
                Captioning(model),
                "",
                captions(seed + 1),
                pairs.collate,
                budget(scale.joint_steps, scale.batch_size, 4e-4),
            ),
        ],
    )


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
