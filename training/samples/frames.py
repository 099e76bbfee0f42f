"""Clips, mixtures and references as the frames that a frozen encoder was kept from.

Shapes: B clips, T frames, D features, L tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.contracts import Encoder, LevelMeter, Parts
from model.encoders.batches import first
from model.types import Encoded
from training.captions.tokenizer import tokenize
from training.captions.wording import normalize_caption
from training.datasets.recording import CaptionedClip
from training.samples.collate import Sample
from training.samples.features import Features

CONJUNCTION = "and"
"""What AL-MixGen joins two captions by."""


class KeptFrames(nn.Module):
    """Fills the encoder's slot where the encoder's frames come in, instead of waveforms."""

    def __init__(self, levels: int = 0) -> None:
        """Of each frame, so many features, the last ones, are its levels."""
        super().__init__()
        self.levels = levels

    def forward(self, frames: Tensor, lengths: Tensor) -> Encoded:
        """[B, T, D + levels], zero beyond ``lengths`` [B] -> the same, with its mask."""
        width = frames.shape[2] - self.levels
        levels = frames[:, :, width:] if self.levels else None
        return Encoded(frames[:, :, :width], first(lengths, frames.shape[1]), levels)


def without_encoder(captioner: CaptionerModel) -> CaptionerModel:
    """The same parts, but that its encoder's frames are what it is given."""
    parts = Parts(
        cast(Encoder, KeptFrames(captioner.levels.width if captioner.levels else 0)),
        captioner.adapter,
        captioner.difference,
        captioner.decoder,
        captioner.events,
        captioner.levels,
    )
    return CaptionerModel(captioner.config, parts)


class Heard(Dataset[Sample]):
    """Samples as a frozen encoder hears them, most of them again and again.

    One in ``visits`` is new: to mix, to encode and to ask the teacher costs far more than to learn.
    The others are drawn from the last ``memory`` that were. Every sample is a function of its
    index alone; what is kept only saves time.
    """

    def __init__(
        self,
        samples: Dataset[Sample],
        encoder: Encoder,
        *,
        visits: int,
        memory: int = 4096,
        levels: LevelMeter | None = None,
    ) -> None:
        """With ``levels``, what they say of the waveform stands behind each frame's features."""
        self.samples = samples
        self.encoder = encoder
        self.levels = levels
        self.visits = visits
        self.memory = memory
        self._kept: dict[int, Sample] = {}

    def __getitem__(self, index: int) -> Sample:
        """The sample with ``input`` and ``reference`` [T, D] in place of waveforms."""
        number, again = divmod(index, self.visits)
        if again:
            rng = np.random.default_rng((51, index))
            number = int(rng.integers(max(0, number + 1 - self.memory), number + 1))
        if number not in self._kept:
            self._kept.pop(number - self.memory, None)
            self._kept[number] = self._hear(self.samples[number])
        return self._kept[number]

    @torch.no_grad()
    def _hear(self, sample: Sample) -> Sample:
        self.encoder.eval()
        heard = dict(sample)
        for name in ("input", "reference"):
            samples = sample.get(name)
            if samples is not None:
                frames = self.encoder.encode([samples])[0]
                if self.levels:
                    length = torch.tensor([len(samples)])
                    levels = self.levels(samples[None], length, len(frames))
                    frames = torch.cat([frames, levels[0]], dim=1)
                heard[name] = frames
        return heard


class FrameSamples(Dataset[Sample]):
    """Every clip once an epoch, in an order and with a caption and a mixture of its own.

    A sample is a function of the seed and its index alone.
    """

    def __init__(
        self,
        clips: Sequence[CaptionedClip],
        features: Features,
        tokenizer: PreTrainedTokenizerFast,
        *,
        condition: str | None,
        reference_share: float,
        mixgen_share: float,
        seed: int,
        blind: bool = False,
        among: Sequence[int] | None = None,
    ) -> None:
        """``reference_share`` of the samples are mixtures under ``condition``, with a reference.

        It is withheld if ``blind``. ``mixgen_share`` of the samples are two clips at once, their
        captions joined (AL-MixGen). ``among``: the numbers of the clips that are drawn; None: all.
        """
        self.clips = clips
        self.among = range(len(clips)) if among is None else among
        self.blind = blind
        self._tokens: dict[str, Tensor] = {}
        self._order = lru_cache(maxsize=2)(self._drawn)
        self.features = features
        self.tokenizer = tokenizer
        self.mixtures = features.mixed[condition] if condition else None
        self.reference_share = reference_share
        self.mixgen_share = mixgen_share
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, D], ``reference`` [T, D] or None, ``tokens`` [L]."""
        epoch, place = divmod(index, len(self.among))
        clip = self.among[self._order(epoch)[place]]
        rng = np.random.default_rng((self.seed, epoch, clip))
        caption = self._caption(clip, rng)
        heard, reference = self.features.clips[clip], None
        choice = rng.random()
        if self.mixtures and choice < self.reference_share:
            drawn = self.mixtures[clip]
            mixed = drawn[rng.integers(len(drawn))]
            heard, reference = mixed.input, None if self.blind else mixed.reference
        elif choice < self.mixgen_share:
            joined = self.features.joined[clip]
            other, heard = joined[rng.integers(len(joined))]
            caption = f"{caption} {CONJUNCTION} {self._caption(other, rng)}"
        return {
            "input": self.features.tensor(heard),
            "reference": None if reference is None else self.features.tensor(reference),
            "tokens": self._tokenized(caption),
        }

    def __len__(self) -> int:
        """An epoch."""
        return len(self.among)

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.among))

    def _tokenized(self, caption: str) -> Tensor:
        """[L], found once: it takes as long as the rest of a sample together."""
        if caption not in self._tokens:
            self._tokens[caption] = tokenize(self.tokenizer, caption)
        return self._tokens[caption]

    def _caption(self, clip: int, rng: np.random.Generator) -> str:
        captions = self.clips[clip].captions
        return normalize_caption(captions[rng.integers(len(captions))])


class RestSamples(Dataset[Sample]):
    """Mixtures and references, and what should be left: the clip's own frames.

    A sample is a function of the seed and its index alone.
    """

    def __init__(self, features: Features, condition: str, *, seed: int) -> None:
        self.features = features
        self.mixtures = features.mixed[condition]
        self.seed = seed

    def __getitem__(self, index: int) -> Sample:
        """``input`` [T, D], ``reference`` [R, D], ``rest`` [T, D]."""
        rng = np.random.default_rng((self.seed, 3, index))
        clip = int(rng.integers(len(self.mixtures)))
        drawn = self.mixtures[clip]
        mixed = drawn[rng.integers(len(drawn))]
        return {
            "input": self.features.tensor(mixed.input),
            "reference": self.features.tensor(mixed.reference),
            "rest": self.features.tensor(self.features.clips[clip]),
        }
