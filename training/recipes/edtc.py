"""EDTC: two pretrained encoders fused, translated, and taught by text (Tan, Cao, Zhou 2024).

The paper's three encoders are published and frozen; here they are the bundled checkpoint's and the
teacher's network, on captions that people wrote, rendered from recordings (``samples.rendered``),
with references: so the checkpoint answers both routes. BART is not pretrained: first it learns to
write out captions of which tokens are missing. A scene is heard once and learned from several
times, so SpecAugment is on the encoders' frames (``samples.masked``): on their log-mels it would
take a pass of each encoder at every visit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    EdtcAdapterConfig,
    EfficientAtConfig,
    EnsembleConfig,
    TranslatorConfig,
)
from model.decoders import BartDecoder
from model.encoders import EfficientAt, Ensemble
from training import losses
from training.captions.tokenizer import MAX_TOKENS, STYLES, tokenize, train_tokenizer
from training.datasets.clotho import read as clotho
from training.datasets.errors import DataError
from training.fit import Budget, Stage
from training.losses.twinned import SMOOTHING
from training.recipes.hearing import SEARCH, VOCAB_SIZE, Hearing, HearingSources, canvases_of
from training.recipes.recipe import Data, Plan
from training.samples.by_length import ByLength
from training.samples.collate import Sample
from training.samples.deleted import Deleted
from training.samples.differences import Differences
from training.samples.frames import Heard, without_encoder
from training.samples.masked import Masked
from training.samples.rendered import Rendered

BASE = Path("checkpoints/default")
TRANSLATOR = TranslatorConfig(encoder_layers=2, decoder_layers=1)
LEARNS = r"^(twin|project|scale|captioner\.(?!encoder\.))"
"""What is trainable of a loss on captions."""
_CYCLE = 0.2
"""Of the budget: four of the paper's twenty epochs."""


@dataclass(frozen=True)
class EdtcSources:
    """The data of a run."""

    hearing: HearingSources
    captions: Sequence[tuple[str, ...]]
    """Of each clip what several people wrote."""
    base: CaptionerModel
    instructor: Path | None
    """Where INSTRUCTOR lies; None: a text encoder is trained."""


class Pairs(Dataset[Sample]):
    """Two captions of a clip. A sample is a function of the seed and its index alone."""

    def __init__(
        self,
        captions: Sequence[tuple[str, ...]],
        tokenizer: PreTrainedTokenizerFast,
        *,
        seed: int,
    ) -> None:
        self.captions = captions
        self.tokenizer = tokenizer
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``tokens`` [L] and ``other_tokens`` [L']."""
        rng = np.random.default_rng((self.seed, 61, index))
        told = self.captions[int(rng.integers(len(self.captions)))]
        one, other = rng.choice(len(told), 2, replace=False)
        return {
            "tokens": tokenize(self.tokenizer, told[one]),
            "other_tokens": tokenize(self.tokenizer, told[other]),
        }


@dataclass(frozen=True)
class Edtc:
    """Three stages: how captions are worded, what they mean, and what they say of clips."""

    width: int = 240
    """A third of it is what FUSER's attention over features is on."""
    heads: int = 4
    fuser_layers: int | None = 2
    translator: TranslatorConfig | None = TRANSLATOR
    twin: bool = True
    encoder_layers: int = 1
    """Of BART."""
    bart_steps: int = 2500
    text_steps: int = 800
    caption_steps: int = 3000
    batch_size: int = 32
    visits: int = 4
    """How often a scene that the encoders heard is learned from."""
    learning_rate: float = 5e-4
    save_steps: int = 200
    workers: int = 1

    def sources(self, data: Data, run_dir: Path) -> EdtcSources:
        """Those of the recipe ``hearing``; a checkpoint's encoder; clips' captions; INSTRUCTOR.

        Raises:
            DataError: there are no recordings, or no clips with several captions.
            CheckpointError: the teacher's file or the checkpoint cannot be read.
        """
        if data.clotho is None:
            raise DataError("a text encoder learns from several captions of a clip: name Clotho's")
        told = [clip.captions for clip in clotho.read_captions(data.clotho, "development")]
        base = checkpoint.load(data.start or BASE, torch.float32).model
        return EdtcSources(Hearing().sources(data, run_dir), told, base, data.instructor)

    def plan(self, sources: EdtcSources, seed: int) -> Plan:
        """The model and its stages."""
        hearing = sources.hearing
        texts = [one.text for one in hearing.sentences]
        texts += [caption for clip in sources.captions for caption in clip]
        tokenizer = train_tokenizer(texts, VOCAB_SIZE, [*STYLES])
        torch.manual_seed(seed)
        model = self._model(sources, len(tokenizer))
        deaf = without_encoder(model)
        text, stages = self._reader(sources, tokenizer, seed)
        learns = losses.Twinned(deaf, text) if self.twin else losses.Captioning(deaf, SMOOTHING)
        scenes = self._scenes(sources, tokenizer, model, seed)
        captions = Stage(
            "captions",
            Masked(Heard(scenes, model.encoder, visits=self.visits), seed=seed),
            learns,
            LEARNS,
            self._budget(self.caption_steps, seed),
            after_step=learns.merge if isinstance(learns, losses.Twinned) else None,
            schedule=cycles,
        )
        wording = Stage(
            "bart",
            ByLength(Deleted(texts, tokenizer, seed=seed), self.batch_size, seed=seed),
            losses.Denoising(cast(BartDecoder, model.decoder), SMOOTHING),
            "",
            self._budget(self.bart_steps, seed),
        )
        stages = [wording, *(stages if self.twin else []), captions]
        return Plan(model, tokenizer, baseline_search(max_length=MAX_TOKENS, **SEARCH), stages)

    def _reader(
        self, sources: EdtcSources, tokenizer: PreTrainedTokenizerFast, seed: int
    ) -> tuple[losses.TextEncoder | losses.Instructor, list[Stage]]:
        """What twins read captions through, and the stage that it learns in."""
        if sources.instructor:
            return losses.Instructor(sources.instructor, tokenizer), []
        text = losses.TextEncoder(
            vocab_size=len(tokenizer), width=self.width, layers=2, heads=self.heads
        )
        reading = Stage(
            "text", Pairs(sources.captions, tokenizer, seed=seed), losses.Pairing(text), "",
            self._budget(self.text_steps, seed),
        )  # fmt: skip
        return text, [reading]

    def _budget(self, steps: int, seed: int) -> Budget:
        return Budget(steps, self.batch_size, self.learning_rate, min(200, steps // 10), 0.01,
                      self.save_steps, self.workers, seed)  # fmt: skip

    def _model(self, sources: EdtcSources, vocab_size: int) -> CaptionerModel:
        base = sources.base
        parts = (base.config.encoder, EfficientAtConfig())
        streams = (base.encoder.width, EfficientAt.width)
        model = CaptionerModel(
            CaptionerConfig(
                encoder=EnsembleConfig.model_validate({"parts": parts}),
                adapter=EdtcAdapterConfig(
                    streams=streams,
                    heads=self.heads,
                    fuser_layers=self.fuser_layers,
                    translator=self.translator,
                ),
                decoder=BartDecoderConfig(
                    vocab_size=vocab_size, width=self.width, layers=3, heads=self.heads,
                    ffn=4 * self.width, encoder_layers=self.encoder_layers,
                ),
            )
        )  # fmt: skip
        first, second = cast(Sequence[Any], cast(Ensemble, model.encoder).parts)
        first.load_state_dict(cast(nn.Module, base.encoder).state_dict())
        second.network.load_state_dict(sources.hearing.teacher.network.state_dict())
        return model

    def _scenes(
        self,
        sources: EdtcSources,
        tokenizer: PreTrainedTokenizerFast,
        model: CaptionerModel,
        seed: int,
    ) -> Rendered:
        hearing = sources.hearing
        canvases = canvases_of(hearing, model.encoder.sample_rate, seed=seed)
        return Rendered(
            hearing.sentences,
            hearing.tracks.recordings,
            Differences(canvases, seed=seed),
            partial(tokenize, tokenizer),
            seed=seed,
        )


def cycles(done: float) -> float:
    """The factor of the learning rate when that share of the budget is done (section 4.2).

    In each cycle it falls to a tenth and rises again; each begins at half of the last one's.
    """
    cycle, place = divmod(done / _CYCLE, 1)
    return float(0.5**cycle * (0.1 + 0.9 * (1 + math.cos(2 * math.pi * place)) / 2))


_SMOKE: dict[str, Any] = {
    "width": 24,
    "bart_steps": 2,
    "text_steps": 2,
    "caption_steps": 2,
    "batch_size": 2,
    "workers": 0,
}
EDTC = {"full": Edtc(), "smoke": Edtc(**_SMOKE)}
