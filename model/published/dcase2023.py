"""Two DCASE 2023 baselines -> ours.

Sources: the state dicts of task 6B's encoder (``audio_encoder.pth``, Zenodo record 7752975) and of
task 6A's captioner (``dcase_baseline_pre_trained.bin``, 7688773).
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.config import BartDecoderConfig, CaptionerConfig, Cnn14Config, SubtractionConfig
from model.encoders import Cnn14
from model.errors import CheckpointError
from model.published import tokenizers
from model.published.state_dict import fill, read_state_dict

TOKENIZER = "facebook/bart-base"
FILES = "config.json, vocab.json, merges.txt, tokenizer.json, tokenizer_config.json"

ENCODER = {
    "bn0": "norm",
    "cnn.0": "blocks.0.conv1",
    "cnn.1": "blocks.0.norm1",
    "cnn.3": "blocks.0.conv2",
    "cnn.4": "blocks.0.norm2",
    "cnn.8": "blocks.1.conv1",
    "cnn.9": "blocks.1.norm1",
    "cnn.11": "blocks.1.conv2",
    "cnn.12": "blocks.1.norm2",
    "cnn.16": "blocks.2.conv1",
    "cnn.17": "blocks.2.norm1",
    "cnn.19": "blocks.2.conv2",
    "cnn.20": "blocks.2.norm2",
    "cnn.24": "blocks.3.conv1",
    "cnn.25": "blocks.3.norm1",
    "cnn.27": "blocks.3.conv2",
    "cnn.28": "blocks.3.norm2",
    "cnn.32": "blocks.4.conv1",
    "cnn.33": "blocks.4.norm1",
    "cnn.35": "blocks.4.conv2",
    "cnn.36": "blocks.4.norm2",
    "cnn.40": "blocks.5.conv1",
    "cnn.41": "blocks.5.norm1",
    "cnn.43": "blocks.5.conv2",
    "cnn.44": "blocks.5.norm2",
}
"""Task 6B's modules -> ours; within a module weight, bias, running_mean, ... keep their names."""

ENCODER_DROPPED = ("fc.1.weight", "fc.1.bias", "fc2.weight", "fc2.bias")
"""The retrieval head, after the mean over the mel axis: captions do without it."""

CAPTIONER = {
    **{f"audio_enc.{theirs}": f"encoder.{ours}" for theirs, ours in ENCODER.items()},
    "audio_adapt.0": "adapter",
    "bart_lm": "decoder.bart",
}
"""Task 6A's modules -> ours; below ``bart_lm`` both have the Transformers layout."""

CAPTIONER_TIED = {
    f"bart_lm.{copy}.weight": "bart_lm.model.shared.weight"
    for copy in ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens")
}
"""One embedding under four names; ours has the second."""

CAPTIONER_DROPPED = tuple(f"audio_enc.{key}" for key in ENCODER_DROPPED)


def published() -> CaptionerConfig:
    """The task 6A baseline: our defaults are its sizes; its padding; no diff block with weights."""
    return CaptionerConfig(encoder=Cnn14Config(fixed_frames=2048), difference=SubtractionConfig())


def import_encoder(source: Path, target: Path, config: CaptionerConfig) -> None:
    """Write task 6B's encoder as a directory that ``checkpoint.load_encoder`` reads.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    state = read_state_dict(source)
    encoder = Cnn14(**config.encoder.keywords())
    fill(encoder, state, ENCODER, ENCODER_DROPPED)
    checkpoint.save_encoder(target, encoder, config)


def import_captioner(
    source: Path, target: Path, tokenizer: Path | None, config: CaptionerConfig
) -> None:
    """Write task 6A's captioner as a checkpoint directory, searching as its authors did.

    ``tokenizer`` is a folder with the files of ``facebook/bart-base``; None downloads them.

    Raises:
        CheckpointError: ``source`` or the tokenizer is not the published one.
    """
    decoder = config.decoder
    assert isinstance(decoder, BartDecoderConfig)
    words = load_tokenizer(tokenizer, decoder)
    state = read_state_dict(source)
    model = CaptionerModel(config)
    fill(model, state, CAPTIONER, CAPTIONER_DROPPED, CAPTIONER_TIED)
    generation = checkpoint.baseline_search(max_length=100)
    generation.forced_bos_token_id = decoder.bos_token_id
    checkpoint.save(target, model, words, generation)


def load_tokenizer(path: Path | None, config: BartDecoderConfig) -> PreTrainedTokenizerFast:
    """Read BART's tokenizer from a folder, or download it.

    Raises:
        CheckpointError: it cannot be had, or it does not fit the decoder's vocabulary.
    """
    tokenizer, advice = tokenizers.load_tokenizer(path, TOKENIZER, FILES)
    found = (
        len(tokenizer),
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
        tokenizer.eos_token_id,
    )
    wanted = (config.vocab_size, config.bos_token_id, config.pad_token_id, config.eos_token_id)
    if found != wanted:
        raise CheckpointError(
            f"the tokenizer from {path or TOKENIZER} has (tokens, bos, pad, eos) = {found}, "
            f"the model {wanted}: {advice}"
        )
    return tokenizer
