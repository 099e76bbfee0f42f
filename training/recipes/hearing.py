"""Pretrained hearing, and sentences that people wrote.

The student (``mobilenet``, started from YAMNet) learns the teacher's opinions of mixtures; the
decoder learns to tell events from sentences without audio; the diff block learns what the teacher
says of the rest; captions may be learned as in Audio Difference Learning (equation 13); and in the
end the decoder learns what it may claim of what this model hears. The variant ``published`` has the
teacher's own network for its encoder, frozen, so that of the first two stages there is one, the
head's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.checkpoint import baseline_search, load_encoder
from model.config import EfficientAtConfig, hearing
from model.decoders import BartDecoder
from model.difference import Masking
from model.encoders import EfficientAt, MobileNet
from model.encoders.efficientat import EfficientAtNetwork
from model.events import Events
from model.published import efficientat, yamnet
from training import losses
from training.captions import sentences
from training.captions.ontology import EVENTS
from training.captions.sentences import Sentence, read_off
from training.captions.tokenizer import MAX_TOKENS, STYLES, tokenize, train_tokenizer
from training.captions.wording import normalize_caption
from training.datasets.audiocaps import read as audiocaps
from training.datasets.clotho import read as clotho
from training.datasets.errors import DataError
from training.datasets.esc50.read import TRAIN_FOLDS
from training.fit import Budget, Stage
from training.recipes.recipe import Data, Plan
from training.samples import tracks
from training.samples.canvases import BELIEVED, Canvases
from training.samples.claims import Claims, Scenes, Told
from training.samples.collate import Sample
from training.samples.differences import Differences
from training.samples.frames import Heard, without_encoder
from training.samples.rendered import Rendered
from training.samples.sentences import Sentences
from training.samples.teacher import Teacher
from training.samples.tracks import KINDS, Tracks, certain
from training.scenes import store
from training.scenes.store import Store

VOCAB_SIZE = 4000
SHARES = {"audiocaps": 0.8, "clotho": 0.2}
"""Of the sentences: the served style is that of the first."""
TAKEN, KEPT = 10.0, -3.0
"""The mask at the start: .95 of what the reference has not, .08 of what it has at .3."""
SEARCH = {
    "min_length": 3,  # its start and end counted: "silence" is one token
    "no_repeat_ngram_size": 2,  # no "waves crash and waves crash",
    "no_repeat_window": 2,  # and no "waves crash and crash"
}
REPEATS = 50
"""How often the tokenizer is shown a sentence of ours."""


@dataclass(frozen=True)
class HearingSources:
    """The data of a run."""

    store: Store
    tracks: Tracks
    known: Mapping[int, Sequence[int]]
    """Recording -> kinds that are surely heard in it."""
    sentences: Sequence[Sentence]
    teacher: Teacher
    start: Path | None
    """The student's: a directory of an encoder; None: YAMNet, as it is installed."""


@dataclass(frozen=True)
class Hearing:
    """The stages' budgets; peak learning rates are those of the trials."""

    published: bool = False
    """The encoder is the teacher's network."""
    head_steps: int = 300
    hearing_steps: int = 1400
    sentence_steps: int = 4500
    difference_steps: int = 1000
    caption_steps: int = 0
    """None: rendered captions made worse what was said (docs/reproduction.md)."""
    claim_steps: int = 900
    batch_size: int = 32
    """Of sentences, of differences and of claims it is twice this."""
    head_visits: int = 16
    """How often a canvas is learned from where the encoder is the teacher's."""
    difference_visits: int = 8
    caption_visits: int = 4
    claim_visits: int = 4
    """How often a mixture is learned from."""
    save_steps: int = 100
    workers: int = 1

    def sources(self, data: Data, run_dir: Path) -> HearingSources:
        """Recordings and the teacher's tracks of them, kept in ``run_dir``; and the sentences.

        Raises:
            DataError: there are no recordings at all.
            CheckpointError: the teacher's file is not EfficientAT's.
        """
        told = [*_sentences(data), *sentences.ours()]  # first: it is soon known whether it is whole
        network = efficientat.read_network(data.teacher)
        found = [*_recordings(data)]
        if not found:
            raise DataError("there are no recordings: name ESC-50's folder, or that of sounds")
        heard = store.build(run_dir / "recordings", found)
        teacher = Teacher(network)
        numbers = range(len(heard))
        labelled = tracks.build(run_dir / "recordings", heard, numbers, teacher)
        return HearingSources(
            store=heard,
            tracks=labelled,
            known=_known(heard, labelled),
            sentences=told,
            teacher=teacher,
            start=data.start,
        )

    def plan(self, sources: HearingSources, seed: int) -> Plan:
        """The model and its stages."""
        ours = (*sentences.NOTHING, *sentences.SILENCE, *sentences.NO_DIFFERENCE)
        texts = [one.text for one in sources.sentences] + [*ours] * REPEATS
        tokenizer = train_tokenizer(texts, VOCAB_SIZE, [*STYLES])
        torch.manual_seed(seed)
        encoder = EfficientAtConfig() if self.published else None
        model = CaptionerModel(hearing(len(tokenizer), EVENTS, encoder))
        self._start(model, sources)
        tell_by_name(model, tokenizer)

        encode = partial(tokenize, tokenizer)
        events = _events(model)
        canvases = partial(canvases_of, sources, model.encoder.sample_rate)
        differences = Differences(canvases(seed=seed), seed=seed)
        told = Sentences(sources.sentences, sources.tracks, encode, seed=seed, shares=SHARES)
        rendered = Rendered(
            sources.sentences, sources.tracks.recordings, differences, encode, seed=seed
        )
        scenes = Told(
            Scenes(differences, seed=seed),
            model,
            tokenizer,
            visits=self.claim_visits,
            search=SEARCH,
        )
        size = self.batch_size
        tells = losses.Telling(events, model.decoder)
        deaf = without_encoder(model)
        differs, captions = losses.Differing(deaf), losses.Captioning(deaf)

        def heard(samples: Dataset[Sample], visits: int) -> Heard:
            return Heard(samples, model.encoder, visits=visits)

        def budget(steps: int, batch_size: int, rate: float, decay: float = 0.05) -> Budget:
            warmup = min(200, steps // 10)
            return Budget(steps, batch_size, rate, warmup, decay, self.save_steps, self.workers,
                          seed)  # fmt: skip

        # A fresh head shakes the trunk: it learns first, and then all at a smaller rate, but for
        # the first layers, whose wide maps would take a third of a step's time.
        hears = losses.Hearing(deaf.encoder if self.published else model.encoder, events.head)
        listening = [
            Stage("head", heard(canvases(seed=seed), self.head_visits), hears,
                  r"^(head|project)\.", budget(self.hearing_steps, 2 * size, 1e-3, 0.01)),
        ] if self.published else [
            Stage("head", canvases(seed=seed), hears, r"^(?!encoder\.trunk\.)",
                  budget(self.head_steps, size, 1e-3, 0.01)),
            Stage("hearing", canvases(seed=seed + 1), hears,
                  r"^(?!encoder\.trunk\.convolutions\.[0-6]\.)",
                  budget(self.hearing_steps, size, 2.5e-4, 0.01)),
        ]  # fmt: skip
        telling = [
            Stage("sentences", told, tells, r"^(decoder\.|events\.(embed|compared))",
                  budget(self.sentence_steps, 2 * size, 8e-4)),
            Stage("differences", heard(differences, self.difference_visits), differs,
                  r"^captioner\.difference\.", budget(self.difference_steps, 2 * size, 5e-4, 0.01)),
            # Fast, it would unlearn what the tagger taught the block, and people the decoder.
            Stage("captions", heard(rendered, self.caption_visits), captions,
                  r"^captioner\.(decoder\.|events\.(?!head\.))",
                  budget(self.caption_steps, size, 1e-4)),
            Stage("claims", Claims(scenes, told, seed=seed), tells,
                  r"^(decoder\.|events\.(embed|compared))",
                  budget(self.claim_steps, 2 * size, 3e-4)),
        ]  # fmt: skip
        stages = [stage for stage in (*listening, *telling) if stage.budget.steps]
        search = baseline_search(max_length=MAX_TOKENS, **SEARCH)
        return Plan(model, tokenizer, search, stages)

    def _start(self, model: CaptionerModel, sources: HearingSources) -> None:
        """Give encoder and diff block what they start from."""
        start_as_rule(model)
        nn.init.zeros_(_events(model).frames.weight)  # at first the events alone speak
        nn.init.zeros_(_events(model).frames.bias)
        if self.published:
            assert isinstance(model.encoder, EfficientAt)
            network: EfficientAtNetwork = sources.teacher.network
            model.encoder.network.load_state_dict(network.state_dict())
        elif sources.start:
            load_encoder(model.encoder, sources.start)
        else:
            assert isinstance(model.encoder, MobileNet)
            model.encoder.trunk.load_state_dict(yamnet.read_trunk(yamnet.installed()))


def canvases_of(sources: HearingSources, sample_rate: int, *, seed: int) -> Canvases:
    """Of all recordings, at the rate of an encoder."""
    return Canvases(
        sources.store,
        range(len(sources.store)),
        sources.teacher,
        sample_rate=sample_rate,
        known=sources.known,
        seed=seed,
    )


@torch.no_grad()
def start_as_rule(captioner: CaptionerModel) -> None:
    """Let the diff block take, of each event, what the frames of the reference most alike hold."""
    block, kinds = captioner.difference, len(EVENTS)
    assert isinstance(block, Masking)
    for layer in (block.query, block.key, block.value):
        nn.init.zeros_(layer.bias)
    small = isinstance(captioner.encoder, EfficientAt)  # the features; the student's have norms
    for layer in (block.query, block.key):
        nn.init.zeros_(layer.weight).fill_diagonal_(5.0 if small else 1.0)
    nn.init.zeros_(block.value.weight)
    block.value.weight.diagonal()[-kinds:].fill_(TAKEN)
    block.value.bias.fill_(KEPT)


@torch.no_grad()
def tell_by_name(captioner: CaptionerModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Start each event's part of the memory as the embedding of its name's words.

    What the decoder says it looks up in the same embeddings: to copy a name is learned once, and
    then known of kinds that hardly a sentence speaks of.
    """
    words = _decoder(captioner).bart.model.shared.weight
    for kind, label in enumerate(EVENTS):
        tokens = tokenizer(normalize_caption(label), add_special_tokens=False)["input_ids"]
        named = words[tokens].mean(dim=0)
        _events(captioner).embed.weight[:, kind] = named / named.norm()


_SMOKE: dict[str, Any] = {
    "head_steps": 2,
    "hearing_steps": 2,
    "sentence_steps": 2,
    "difference_steps": 2,
    "caption_steps": 2,
    "claim_steps": 2,
    "batch_size": 2,
    "workers": 0,
}
HEARING = {"full": Hearing(), "smoke": Hearing(**_SMOKE)}
PUBLISHED = {"full": Hearing(published=True), "smoke": Hearing(published=True, **_SMOKE)}


def _events(model: CaptionerModel) -> Events:
    assert isinstance(model.events, Events)
    return model.events


def _decoder(model: CaptionerModel) -> BartDecoder:
    assert isinstance(model.decoder, BartDecoder)
    return model.decoder


def _recordings(data: Data) -> Iterator[store.Source]:
    if data.esc50:
        yield from store.esc50_sources(data.esc50, data.folds or TRAIN_FOLDS)
    if data.sounds:
        yield from store.sound_sources(data.sounds)


def _sentences(data: Data) -> Iterator[Sentence]:
    """Of both data sets' parts to train on alone."""
    if data.audiocaps:
        told = audiocaps.read_captions(data.audiocaps, "train")
        yield from read_off((one.caption for one in told), "audiocaps")
    if data.clotho:
        clips = clotho.read_captions(data.clotho, "development")
        yield from read_off((caption for clip in clips for caption in clip.captions), "clotho")


def _known(heard: Store, found: Tracks) -> dict[int, list[int]]:
    """ESC-50's classes are sure; elsewhere a label that the teacher does not quite rule out."""
    peaks = {number: track.max(axis=0) for number, track in found.numbered()}
    known: dict[int, list[int]] = {}
    for number, recording in enumerate(heard.recordings):
        kinds = [KINDS[kind] for kind in certain(*recording.labels)]
        if not recording.group.startswith("esc50-"):
            kinds = [kind for kind in kinds if number in peaks and peaks[number][kind] > BELIEVED]
        known[number] = kinds
    return known
