"""Published checkpoints -> ours: explicit key maps, nothing silently dropped.

The sources are state dicts of two DCASE 2023 baselines: task 6B's encoder (``audio_encoder.pth``,
Zenodo record 7752975) and task 6A's captioner (``dcase_baseline_pre_trained.bin``, 7688773).
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.config import CaptionerConfig, DecoderConfig, DifferenceConfig, EncoderConfig
from model.encoders import Cnn14
from model.encoders.log_mel import LogMel
from model.errors import CheckpointError

TOKENIZER = "facebook/bart-base"
WEIGHTS = "model.safetensors"

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

CAPTIONER_DROPPED = tuple(f"audio_enc.{key}" for key in ENCODER_DROPPED)


def published() -> CaptionerConfig:
    """The task 6A baseline: our defaults are its sizes; its padding; no diff block with weights."""
    return CaptionerConfig(
        encoder=EncoderConfig(fixed_frames=2048), difference=DifferenceConfig(name="subtraction")
    )


def import_encoder(source: Path, target: Path, config: CaptionerConfig) -> None:
    """Write task 6B's encoder as a directory that :func:`load_encoder` reads.

    Raises:
        CheckpointError: ``source`` is not that file; the message names what does not fit.
    """
    state = read_state_dict(source)
    front_end = LogMel(**config.front_end.model_dump())
    encoder = Cnn14(front_end=front_end, **config.encoder.model_dump(exclude={"name"}))
    fill(encoder, state, ENCODER, ENCODER_DROPPED)
    target.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(target)
    weights = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    save_file(weights, target / WEIGHTS, metadata={"format": "pt"})


def load_encoder(encoder: Cnn14, path: Path) -> None:
    """Start an encoder from the one in ``path``: an imported encoder or a whole checkpoint.

    Raises:
        CheckpointError: there is none, or one of another size.
    """
    try:
        weights = load_file(path / WEIGHTS)
        encoder.load_state_dict(
            {
                key.removeprefix("encoder."): value
                for key, value in weights.items()
                if key.startswith("encoder.")
            }
        )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"no encoder can be started from {path}: {error}") from error


def import_captioner(
    source: Path, target: Path, tokenizer: Path | None, config: CaptionerConfig
) -> None:
    """Write task 6A's captioner as a checkpoint directory, searching as its authors did.

    ``tokenizer`` is a folder with the files of ``facebook/bart-base``; None downloads them.

    Raises:
        CheckpointError: ``source`` or the tokenizer is not the published one.
    """
    words = load_tokenizer(tokenizer, config.decoder)
    state = read_state_dict(source)
    model = CaptionerModel(config)
    fill(model, state, CAPTIONER, CAPTIONER_DROPPED)
    generation = checkpoint.baseline_search(max_length=100)
    generation.forced_bos_token_id = config.decoder.bos_token_id
    checkpoint.save(target, model, words, generation)


def load_tokenizer(path: Path | None, config: DecoderConfig) -> PreTrainedTokenizerFast:
    """Read BART's tokenizer from a folder, or download it.

    Raises:
        CheckpointError: it cannot be had, or it does not fit the decoder's vocabulary.
    """
    advice = (
        f"download the files of {TOKENIZER} (config.json, vocab.json, merges.txt, tokenizer.json, "
        "tokenizer_config.json) on a machine that can, and name their folder with --tokenizer"
    )
    if path is not None and not path.is_dir():
        raise CheckpointError(f"{path} is no folder: {advice}")
    try:
        tokenizer = cast(
            PreTrainedTokenizerFast,
            AutoTokenizer.from_pretrained(path or TOKENIZER, local_files_only=path is not None),
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(f"no tokenizer from {path or TOKENIZER}: {advice}") from error
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


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a file of named tensors without running anything it may hold.

    Raises:
        CheckpointError: it cannot be read, or it holds something else, too.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(f"{path} is refused: it is damaged or holds code") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise CheckpointError(f"{path} is not a flat state dict of tensors")
    return state


def fill(
    module: nn.Module,
    state: Mapping[str, Tensor],
    layout: Mapping[str, str],
    dropped: Collection[str],
) -> None:
    """Load published weights; ``layout`` maps their modules' names to ours.

    Raises:
        CheckpointError: a key is missing, unknown (in neither ``layout`` nor ``dropped``), of
            another shape or dtype, or unequal where ours are tied; the message names it.
    """
    own = module.state_dict()
    theirs = {
        f"{name}{key.removeprefix(ours)}": key
        for name, ours in layout.items()
        for key in own
        if key.startswith(f"{ours}.")
    }
    _refuse(f"{name} is missing" for name in theirs if name not in state)
    _refuse(f"{name} is unknown" for name in state if name not in theirs and name not in dropped)
    _refuse(
        f"{name} is {_kind(state[name])}, not {_kind(own[key])}"
        for name, key in theirs.items()
        if _kind(state[name]) != _kind(own[key])
    )
    module.load_state_dict({key: state[name] for name, key in theirs.items()})
    loaded = module.state_dict()
    _refuse(
        f"{name} differs from the weight that it is tied to"
        for name, key in theirs.items()
        if not torch.equal(state[name], loaded[key])
    )


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _refuse(problems: Iterable[str], shown: int = 5) -> None:
    found = list(problems)
    if found:
        more = f" and {len(found) - shown} more" if len(found) > shown else ""
        raise CheckpointError(f"not the published weights: {', '.join(found[:shown])}{more}")
