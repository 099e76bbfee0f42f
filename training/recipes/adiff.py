"""Explanations of how two clips differ, in tiers (Deshmukh et al. 2025).

The encoder, the event head and the words' embeddings are a trained checkpoint's, and the encoder
stays as it is, so that a service hears a clip once, whatever it is asked. The language model learns
sentences of no clips first; then, itself frozen, everything before it learns to make it say what is
heard; then both learn, at a tenth of the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint, baseline_search
from model.config import CaptionerConfig, Gpt2DecoderConfig, PrefixConfig, PromptsConfig
from model.decoders import BartDecoder, Gpt2Decoder
from model.difference import Prefix
from model.events import Events
from model.levels import Levels
from training.captions.edits import nouns
from training.captions.wording import normalize_caption
from training.datasets.adiff.read import read_answers
from training.datasets.errors import DataError
from training.fit import Budget, Stage
from training.losses import Explaining, Speaking
from training.recipes import adc
from training.recipes.recipe import Data, Plan
from training.samples.collate import Sample
from training.samples.explained import PROMPTS, Explained, Kept, Kind, keep
from training.samples.frames import without_encoder
from training.scenes import store
from training.scenes.clips import Clips

BANDS = 8
ASKED = 10
"""Tokens of a prompt, padding included."""
LONGEST = 160
"""Tokens of an answer."""
PUBLISHED = 0.3
"""Of the sentences of no clips, those that ADIFF published."""
LOUD, FAINT = 8.0, 0.1
"""At first, what is heard outweighs places and queries."""
SEARCH = {"num_beams": 1, "early_stopping": False, "min_length": 3, "no_repeat_ngram_size": 0}
"""Greedy, as ADIFF; and much is said of both clips in the same words."""


@dataclass(frozen=True)
class Sources:
    """The data of a run."""

    kept: Kept
    published: Sequence[str]
    base: Checkpoint


@dataclass(frozen=True)
class Explanations:
    """The three stages; ablations are this with other settings."""

    clips: int = 12_000
    """That are heard and kept; what is learned from are pairs of them."""
    layers: int = 3
    tokens: int = 8
    """Vectors of a clip, and of the prompt."""
    mapper_layers: int = 2
    cross_layers: int = 2
    """0: the paper's naive baseline."""
    separator: bool = True
    position_share: float = 0.3
    """Of the samples, those that ask for a caption of one clip or of each."""
    deaf: bool = False
    """A control that hears nothing."""
    language_steps: int = 2000
    """0: the language model is as it comes."""
    grounding_steps: int = 10_000
    tuning_steps: int = 4000
    batch_size: int = 16
    learning_rate: float = 1e-3
    save_steps: int = 200
    workers: int = 0

    def sources(self, data: Data, run_dir: Path) -> Sources:
        """Clips of the recordings, as the base's encoder hears them, kept in ``run_dir``.

        Raises:
            DataError: there are no recordings at all.
            CheckpointError: the base cannot be read.
        """
        base = checkpoint.load(data.start or adc.BASE, torch.float32)
        found = [*adc.recordings(data)]
        if not found:
            raise DataError("there are no recordings: name ESC-50's folder, or that of sounds")
        encoder = base.model.encoder
        recordings = store.build(run_dir / "recordings", found, encoder.sample_rate)
        clips = Clips(recordings, sample_rate=encoder.sample_rate, seed=0)
        levels = Levels(bands=BANDS, sample_rate=encoder.sample_rate, frame_s=encoder.frame_s)
        kept = keep(run_dir / "clips", clips, self.clips, encoder.eval(), levels)
        return Sources(kept, read_answers(data.adiff) if data.adiff else (), base)

    def plan(self, sources: Sources, seed: int) -> Plan:
        """The model and its stages."""
        torch.manual_seed(seed)
        tokenizer = sources.base.tokenizer
        model = self.model(sources.base)
        encode, ask = partial(answered, tokenizer), partial(asked, tokenizer)
        tiers: dict[Kind, float] = {"words": 0.3, "sentence": 0.4, "paragraph": 0.3}
        kinds = {kind: share * (1 - self.position_share) for kind, share in tiers.items()}
        kinds |= {kind: self.position_share / 3 for kind in PROMPTS if kind not in tiers}
        pairs = partial(Explained, sources.kept, encode, ask, bands=BANDS, deaf=self.deaf)
        explaining = Explaining(without_encoder(model))
        decoder = model.decoder
        assert isinstance(decoder, Gpt2Decoder)
        spoken = Spoken(pairs(shares=tiers, seed=seed + 2), sources.published, encode, seed=seed)

        def stage(name: str, samples: Dataset[Sample], loss: torch.nn.Module, trainable: str,
                  steps: int, rate: float) -> Stage:  # fmt: skip
            budget = Budget(steps, self.batch_size, rate, min(200, steps // 10), 0.01,
                            self.save_steps, self.workers, seed)  # fmt: skip
            return Stage(name, samples, loss, trainable, budget)

        before = 2 * self.tokens + self.separator + self.tokens
        stages = [
            stage("language", spoken, Speaking(decoder, before), r"^decoder\.gpt\.",
                  self.language_steps, self.learning_rate),
            stage("grounding", pairs(shares=kinds, seed=seed), explaining,
                  r"^captioner\.(difference|decoder\.(prompt|cross))\.",
                  self.grounding_steps, self.learning_rate),
            stage("tuning", pairs(shares=kinds, seed=seed + 1), explaining,
                  r"^captioner\.(difference|decoder)\.", self.tuning_steps,
                  self.learning_rate / 10),
        ]  # fmt: skip
        search = baseline_search(max_length=LONGEST, **SEARCH)
        return Plan(model, tokenizer, search, [one for one in stages if one.budget.steps])

    def model(self, base: Checkpoint) -> CaptionerModel:
        """The base's encoder and events, and fresh parts behind them, which know its words."""
        own = base.model.config
        words = own.decoder
        prompts = {
            "caption" if kind == "first" else kind: tuple(
                asked(base.tokenizer, PROMPTS[kind][0]).tolist()
            )
            for kind in ("words", "sentence", "paragraph", "first")
        }
        model = CaptionerModel(
            CaptionerConfig(
                encoder=own.encoder,
                adapter=own.adapter,
                events=own.events,
                difference=PrefixConfig(
                    memory=words.width,
                    tokens=self.tokens,
                    layers=self.mapper_layers,
                    heads=4,
                    hears="frames",
                    bands=BANDS,
                    whole=True,
                ),
                decoder=Gpt2DecoderConfig(
                    vocab_size=words.vocab_size,
                    width=words.width,
                    layers=self.layers,
                    heads=4,
                    max_positions=512,
                    dropout=0.0,
                    prompt_tokens=self.tokens,
                    mapper_layers=1,
                    mapper_heads=4,
                    cross_layers=self.cross_layers,
                    cross_heads=4,
                    separator_token_id=words.eos_token_id if self.separator else None,
                    pad_token_id=words.pad_token_id,
                    eos_token_id=words.eos_token_id,
                ),
                prompts=PromptsConfig(**prompts),
                nouns=None if own.events is None else nouns(own.events.labels),
            )
        )
        weights = base.model.state_dict()
        parts = ("encoder.", "adapter.", "events.")
        kept = {key: value for key, value in weights.items() if key.startswith(parts)}
        model.load_state_dict(kept, strict=False)
        _speak_as(base.model, model)
        return model


class Spoken(Dataset[Sample]):
    """Answers of no clips: by rule, and as they were published."""

    def __init__(
        self, explained: Explained, published: Sequence[str], encode: Any, *, seed: int
    ) -> None:
        """``encode``: text -> tokens [L]."""
        self.explained = explained
        self.published = published
        self.encode = encode
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``tokens`` [L]."""
        rng = np.random.default_rng((self.seed, 81, index))
        if self.published and rng.random() < PUBLISHED:
            return {"tokens": self.encode(self.published[int(rng.integers(len(self.published)))])}
        return {"tokens": self.explained[index]["tokens"]}


def answered(tokenizer: PreTrainedTokenizerFast, text: str) -> Tensor:
    """[L]: the answer in small letters, and the end; cut to ``LONGEST``."""
    found = tokenizer(text.lower(), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor([*found[: LONGEST - 1], tokenizer.eos_token_id])


def asked(tokenizer: PreTrainedTokenizerFast, prompt: str) -> Tensor:
    """[``ASKED``]: the prompt and the end, padded."""
    found = tokenizer(normalize_caption(prompt), add_special_tokens=False)["input_ids"]
    known = [*found[: ASKED - 1], tokenizer.eos_token_id]
    return torch.tensor(known + [tokenizer.pad_token_id] * (ASKED - len(known)))


@torch.no_grad()
def _speak_as(base: CaptionerModel, model: CaptionerModel) -> None:
    """Begin with the base's words, and let each frame stand for what its decoder was told of it.

    What is attended to is copied at first, so that the words for what is heard are at hand from the
    beginning, and only which of them and when is to be learned.
    """
    block, decoder, events = model.difference, model.decoder, base.events
    assert isinstance(decoder, Gpt2Decoder)
    assert isinstance(block, Prefix)
    if isinstance(base.decoder, BartDecoder) and isinstance(events, Events):
        decoder.gpt.transformer.wte.weight.copy_(base.decoder.bart.model.shared.weight)
        told = torch.cat([events.frames.weight, events.embed.weight], dim=1)
        for mapper in (block.input, block.reference):
            mapper.expand.weight[:, : told.shape[1]].copy_(LOUD * told)
    for one in (block.input, block.reference, decoder.prompt):
        one.queries.mul_(FAINT)
    width = decoder.gpt.transformer.wte.embedding_dim
    for layer in (*block.input.layers, *block.reference.layers, *decoder.cross):
        layer.key_value.weight[width:] = torch.eye(width)
        layer.project.weight.copy_(torch.eye(width))
    for each in decoder.gpt.layers:
        each.attn.c_attn.weight[:, 2 * width :] = torch.eye(width)
        each.attn.c_proj.weight.copy_(torch.eye(width) / len(decoder.gpt.layers))


_SMOKE: dict[str, Any] = {
    "clips": 6,
    "language_steps": 2,
    "grounding_steps": 2,
    "tuning_steps": 2,
    "batch_size": 2,
}
ADIFF = {"full": Explanations(), "smoke": Explanations(**_SMOKE)}
