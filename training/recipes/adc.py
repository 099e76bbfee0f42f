"""Audio difference captioning: what was added, removed, louder, moved (Takeuchi et al. 2023).

Encoder, event head and the decoder's start are a trained checkpoint's. The encoder stays as it is,
so that a service hears a clip once, whatever it is asked about it; block and decoder learn from
pairs of scenes of which one is the other, edited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint, baseline_search
from model.config import CaptionerConfig, ConcentratedConfig
from model.difference import Concentrated
from model.events import Events
from training.captions.edits import nouns
from training.captions.tokenizer import MAX_TOKENS, tokenize
from training.datasets.errors import DataError
from training.datasets.esc50.read import TRAIN_FOLDS
from training.fit import Budget, Stage
from training.losses import Disentangling
from training.losses.disentangling import When
from training.recipes.recipe import Data, Plan
from training.samples.collate import Sample
from training.samples.edits import Edits
from training.samples.frames import Heard, without_encoder
from training.scenes import store
from training.scenes.store import Store

BASE = Path("checkpoints/default")
BANDS = 8
MANNERS = {"statement": "audiocaps", "imperative": "clotho"}
"""Style -> whose token of the base's vocabulary a sentence of it starts with."""
SEARCH = {"num_beams": 3, "min_length": 3, "no_repeat_ngram_size": 0}
"""What is added may be added twice."""


@dataclass(frozen=True)
class ChangeSources:
    """The data of a run."""

    store: Store
    """At the rate of the base's encoder."""
    base: Checkpoint


@dataclass(frozen=True)
class Changes:
    """One stage; its peak learning rate is that of trials."""

    when: When | None = "late"
    """Which frames are disentangled."""
    weight: float = 0.5
    """Lambda."""
    concentrated: bool = True
    layers: int = 2
    hidden: int = 768
    """Of the embedding networks."""
    steps: int = 4000
    batch_size: int = 64
    """Pairs; each is learned both ways."""
    learning_rate: float = 4e-4
    visits: int | None = 4
    """How often a pair that the encoder heard is learned from; None: it hears each batch anew,
    which a GPU has the time for."""
    save_steps: int = 200
    workers: int = 1

    def sources(self, data: Data, run_dir: Path) -> ChangeSources:
        """Recordings, kept in ``run_dir``; and the checkpoint whose encoder it is.

        Raises:
            DataError: there are no recordings at all.
            CheckpointError: the checkpoint cannot be read.
        """
        base = checkpoint.load(data.start or BASE, torch.float32)
        found = [*recordings(data)]
        if not found:
            raise DataError("there are no recordings: name ESC-50's folder, or that of sounds")
        rate = base.model.encoder.sample_rate
        return ChangeSources(store.build(run_dir / "recordings", found, rate), base)

    def plan(self, sources: ChangeSources, seed: int) -> Plan:
        """The model and its stage."""
        torch.manual_seed(seed)
        base = sources.base
        model = self.model(base)
        samples: Dataset[Sample] = Edits(
            sources.store,
            partial(encode, base.tokenizer),
            sample_rate=model.encoder.sample_rate,
            seed=seed,
        )
        learning = model
        if self.visits is not None:
            samples = Heard(samples, model.encoder, visits=self.visits, levels=model.levels)
            learning = without_encoder(model)
        loss = Disentangling(learning, when=self.when, weight=self.weight, hidden=self.hidden)
        budget = Budget(
            self.steps, self.batch_size, self.learning_rate, min(200, self.steps // 10), 0.01,
            self.save_steps, self.workers, seed,
        )  # fmt: skip
        stage = Stage(
            "changes", samples, loss, r"^(captioner\.(difference|decoder)|similar|discrepant)\.",
            budget,
        )  # fmt: skip
        search = baseline_search(max_length=MAX_TOKENS, **SEARCH)
        return Plan(model, base.tokenizer, search, [stage])

    def model(self, base: Checkpoint) -> CaptionerModel:
        """The base's encoder, events and decoder, and a fresh block between them."""
        own = base.model.config
        model = CaptionerModel(
            CaptionerConfig(
                encoder=own.encoder,
                adapter=own.adapter,
                events=own.events,
                difference=ConcentratedConfig(
                    memory=own.decoder.width,
                    layers=self.layers,
                    ffn=4 * own.decoder.width,
                    concentrated=self.concentrated,
                    bands=BANDS,
                ),
                decoder=own.decoder,
                nouns=None if own.events is None else nouns(own.events.labels),
            )
        )
        weights = base.model.state_dict()
        kept = {key: value for key, value in weights.items() if not key.startswith("difference.")}
        model.load_state_dict(kept, strict=False)
        _speak_of_events(model)
        return model


def encode(tokenizer: PreTrainedTokenizerFast, sentence: str, style: str) -> Tensor:
    """[L]: the sentence in the style's manner."""
    return tokenize(tokenizer, sentence, MANNERS[style])


@torch.no_grad()
def _speak_of_events(model: CaptionerModel) -> None:
    """Let what enters the block be what the decoder was told of each frame: names it can say."""
    block, events = model.difference, model.events
    if isinstance(block, Concentrated) and isinstance(events, Events):
        told = torch.cat([events.frames.weight, events.embed.weight], dim=1)
        block.project.weight[:, : told.shape[1]].copy_(told)


def recordings(data: Data) -> Iterator[store.Source]:
    """All that may be trained on."""
    if data.esc50:
        yield from store.esc50_sources(data.esc50, data.folds or TRAIN_FOLDS)
    if data.sounds:
        yield from store.sound_sources(data.sounds)


_SMOKE: dict[str, Any] = {"steps": 2, "batch_size": 2, "hidden": 8, "workers": 0}
ADC = {"full": Changes(), "smoke": Changes(**_SMOKE)}
