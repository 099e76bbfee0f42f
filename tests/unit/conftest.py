"""A captioner small enough to run in milliseconds, in which everything that could go wrong shows.

Weights, biases and running statistics are random and large: padding that leaks anywhere changes
the result, captions differ from clip to clip, and no two tokens are nearly equally likely.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedTokenizerFast

from engine.captioner import Captioner
from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import Checkpoint
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, LogMelConfig
from model.types import Encoded, SourceInfo, Waveform

WORDS = [
    "a", "the", "dog", "cat", "rain", "bird", "wind", "barks", "meows", "falls", "sings", "blows",
    "and", "then", "is", "heard", "near",
]  # fmt: skip
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
VOCAB_SIZE = len(SPECIAL) + len(WORDS)
RATE, FRAME, SHORTEST = 8000, 200, 150
"""Hz; samples per encoder frame; samples of the shortest clip."""

DIFFERENCES = {
    "concentrated": {"memory": 16, "layers": 2, "heads": 2, "ffn": 24, "bands": 3},
}
"""What diff blocks of a name are built with, beside it."""

MakeModel = Callable[..., CaptionerModel]
Sound = Callable[..., Tensor]


@pytest.fixture(scope="session")
def make_config() -> Callable[..., CaptionerConfig]:
    """A tiny configuration with the diff block of this name."""

    def make(difference: str = "masking") -> CaptionerConfig:
        return CaptionerConfig(
            encoder=Cnn14Config(
                front_end=LogMelConfig(
                    sample_rate=RATE, window=100, hop=50, n_fft=128, mels=8, floor=1e-6
                ),
                widths=(3, 4, 6),
                pools=((2, 2), (2, 2), (1, 2)),
                dropout=0.1,
            ),
            difference={"name": difference, **DIFFERENCES.get(difference, {})},
            decoder=BartDecoderConfig(
                vocab_size=VOCAB_SIZE, width=16, layers=2, heads=2, ffn=24, max_positions=256
            ),
        )

    return make


@pytest.fixture(scope="session")
def make_model(make_config: Callable[..., CaptionerConfig]) -> MakeModel:
    """A tiny model in eval mode with the diff block of this name and random weights."""

    def make(difference: str = "masking") -> CaptionerModel:
        model = CaptionerModel(make_config(difference)).eval()
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            bart = model.decoder.bart
            words, last = bart.model.shared, bart.model.decoder.layernorm_embedding
            # As Transformers orders its modules, which have the words thrice: what comes of these
            # draws speaks in sentences of many lengths.
            for name, module in model.named_modules():
                if name.endswith("coder.embed_positions"):
                    _randomize(words, generator)
                if module is not last:
                    _randomize(module, generator)
            _randomize(last, generator)
            words.weight.normal_(0, 1.5 * words.embedding_dim**-0.5, generator=generator)
            bart.model.encoder.embed_positions.weight.normal_(0, 0.5, generator=generator)
            # The next token depends on the memory and the place, not on the last token alone.
            bart.model.decoder.embed_positions.weight.mul_(2)
            for layer in bart.model.decoder.layers:
                layer.encoder_attn.k_proj.weight.mul_(2)
                layer.encoder_attn.out_proj.weight.mul_(3)
            bias = bart.final_logits_bias
            bias.normal_(0, 0.3, generator=generator)
            # Sentences of words that do end: no special token but the last, which is likely.
            bias[:, [0, 1, 3]] = -100
            bias[:, 2] = 3
        return model

    return make


def _randomize(module: nn.Module, generator: torch.Generator) -> None:
    """Set the module's own parameters and running statistics."""
    for name, parameter in module.named_parameters(recurse=False):
        if name == "bias":
            parameter.normal_(0, 0.5, generator=generator)
        elif parameter.ndim == 1:
            parameter.uniform_(0.5, 1.5, generator=generator)
        elif isinstance(module, nn.Embedding):
            parameter.normal_(0, 1, generator=generator)
        else:
            parameter.normal_(0, 1.5 * parameter[0].numel() ** -0.5, generator=generator)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        assert module.running_mean is not None
        assert module.running_var is not None
        module.running_mean.normal_(0, 1, generator=generator)
        module.running_var.uniform_(0.3, 3, generator=generator)


@pytest.fixture(scope="session", params=["masking", "subtraction"])
def any_model(request: pytest.FixtureRequest, make_model: MakeModel) -> CaptionerModel:
    """One tiny model per diff block; not to be changed."""
    return make_model(request.param)


@pytest.fixture(scope="session")
def model(make_model: MakeModel) -> CaptionerModel:
    """The tiny masking model; not to be changed."""
    return make_model()


@pytest.fixture(scope="session")
def sound() -> Sound:
    """[S] samples in [-1, 1] of which no two seeds sound alike: tones that change every 50 ms."""

    def make(samples: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(1000 * samples + seed)
        tones = samples // 400 + 1
        hertz = 100 + 3400 * torch.rand(tones, generator=generator).repeat_interleave(400)
        level = 10 ** (-2 * torch.rand(tones, generator=generator)).repeat_interleave(400)
        tone = level * torch.sin(2 * torch.pi * (hertz / RATE).cumsum(0))
        hiss = 1e-3 * torch.randn(samples, generator=generator)
        return (0.9 * tone[:samples] + hiss).clamp(-1, 1)

    return make


@pytest.fixture(scope="session")
def pad() -> Callable[[Sequence[Tensor]], tuple[Tensor, Tensor]]:
    """Clips [S_b] -> one batch [B, S] with zeros after each, and the lengths [B]."""

    def make(clips: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor([len(clip) for clip in clips])
        return nn.utils.rnn.pad_sequence(list(clips), batch_first=True), lengths

    return make


@pytest.fixture(scope="session")
def make_encoded() -> Callable[..., Encoded]:
    """Random frames of these lengths, with ``garbage`` instead of zeros on the padding."""

    def make(*lengths: int, width: int = 16, seed: int = 0, garbage: float = 50.0) -> Encoded:
        generator = torch.Generator().manual_seed(seed)
        frames = torch.randn(len(lengths), max(lengths), width, generator=generator)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        noise = garbage * torch.randn(frames.shape, generator=generator)
        return Encoded(torch.where(mask[..., None], frames, noise), mask)

    return make


@pytest.fixture(scope="session")
def make_waveform(sound: Sound) -> Callable[..., Waveform]:
    """A clip of so many samples at the tiny model's rate."""

    def make(samples: int, seed: int = 0) -> Waveform:
        source = SourceInfo(samples / RATE, RATE, 1, "wav")
        return Waveform(sound(samples, seed), RATE, source)

    return make


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """One token per word."""
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.WordPiece(prefix="##")
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )


@pytest.fixture(scope="session")
def search() -> dict[str, Any]:
    """Generation settings of the tiny checkpoint."""
    return {
        "num_beams": 3,
        "min_length": 4,
        "max_length": 14,
        "no_repeat_ngram_size": 3,
        "length_penalty": 1.0,
        "early_stopping": True,
    }


@pytest.fixture
def save_checkpoint(
    tokenizer: PreTrainedTokenizerFast, search: dict[str, Any], tmp_path: Path
) -> Callable[..., Path]:
    """Write a model as a checkpoint directory."""

    def save(model: CaptionerModel, name: str = "tiny") -> Path:
        path = tmp_path / name
        checkpoint.save(path, model, tokenizer, GenerationConfig(**search))
        return path

    return save


@pytest.fixture(scope="session")
def make_captioner(
    tokenizer: PreTrainedTokenizerFast, search: dict[str, Any]
) -> Callable[..., Captioner]:
    """The pipeline around a copy of a model, without a checkpoint directory."""

    def make(model: CaptionerModel, words: PreTrainedTokenizerFast = tokenizer) -> Captioner:
        generation = GenerationConfig(**search)
        loaded = Checkpoint("tiny", "0", {}, deepcopy(model), words, generation)
        return Captioner(loaded, torch.device("cpu"))

    return make
