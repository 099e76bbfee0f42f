"""A checkpoint is a directory in the Hugging Face convention: reading and writing it, offline.

``config.json``, ``model.safetensors``, the tokenizer's files, ``generation_config.json`` and
``README.md``, the model card. No pickle. Where ``config.json`` says so, some of the weights are
others', and lie in a file of their own once they were fetched, or in another checkpoint's
directory beside this one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedTokenizerFast

from model.captioner import CaptionerModel
from model.config import CaptionerConfig, FetchedConfig, SharedConfig
from model.contracts import Encoder
from model.errors import CheckpointError

C = TypeVar("C", FetchedConfig, SharedConfig)
WEIGHTS = "model.safetensors"
FILES = (
    "config.json",
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
)
"""Everything of a whole checkpoint that decides a caption."""

_SEARCH: dict[str, type | tuple[type, ...]] = {
    "num_beams": int,
    "min_length": int,
    "max_length": int,
    "no_repeat_ngram_size": int,
    "length_penalty": (int, float),
    "early_stopping": bool,
}
"""What ``generation_config.json`` must set; Transformers has no defaults for it."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint directory holds."""

    name: str
    revision: str
    """First 12 hexadecimal digits of the SHA-256 over ``FILES`` and what was fetched."""
    card: dict[str, object]
    """The model card's front matter."""
    model: CaptionerModel
    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig


def load(path: Path, dtype: torch.dtype) -> Checkpoint:
    """Read a checkpoint directory.

    Raises:
        CheckpointError: a file is missing, not fetched yet or does not fit; the message names it.
    """
    for name in FILES:
        if not (path / name).is_file():
            raise CheckpointError(
                f"{path} is not a checkpoint: {name} is missing. Point to a directory that "
                "`python -m training export` wrote."
            )
    try:
        config = CaptionerConfig.from_pretrained(path, local_files_only=True)
        model = _filled(config, read_weights(path, config.fetched, config.shared), dtype)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True)
        generation = GenerationConfig.from_pretrained(path, local_files_only=True)
        card = read_card(path / "README.md")
    except (
        OSError, ValueError, TypeError, KeyError, SafetensorError, yaml.YAMLError
    ) as error:  # fmt: skip
        raise CheckpointError(f"the checkpoint in {path} cannot be read: {error}") from error
    unset = [key for key, kind in _SEARCH.items() if not isinstance(getattr(generation, key), kind)]
    if unset:
        raise CheckpointError(f"generation_config.json in {path} must set {', '.join(unset)}")
    title = str(card.get("model_name", path.resolve().name))
    return Checkpoint(title, revision(path), card, model.eval(), tokenizer, generation)


def _filled(
    config: CaptionerConfig, weights: Mapping[str, Tensor], dtype: torch.dtype
) -> CaptionerModel:
    """A model with these weights, cast to ``dtype``.

    Raises:
        ValueError: they are not the weights of such a model.
    """
    model = CaptionerModel(config)  # on torch's meta device it would import all of its compiler
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    wrong = {
        "missing": shapes.keys() - weights.keys(),
        "unknown": weights.keys() - shapes.keys(),
        "of another shape": {
            key for key in shapes.keys() & weights.keys() if weights[key].shape != shapes[key]
        },
    }
    if any(wrong.values()):
        found = "; ".join(
            f"{kind}: {', '.join(sorted(keys))}" for kind, keys in wrong.items() if keys
        )
        raise ValueError(f"the weights do not fit config.json: {found}")
    precise = tuple(f"encoder.{name}" for name in model.encoder.precise)

    def cast(key: str, value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        return value.to(torch.float32 if key.startswith(precise) else dtype)

    model.load_state_dict({key: cast(key, value) for key, value in weights.items()}, assign=True)
    return model


def read_weights(
    path: Path, fetched: FetchedConfig | None, shared: SharedConfig | None = None
) -> dict[str, Tensor]:
    """The checkpoint's own weights, and those that were fetched or are shared.

    Raises:
        CheckpointError: they are not fetched yet, the file holds others, or there is no checkpoint
            to share with.
        OSError, SafetensorError: a file cannot be read.
    """
    weights = load_file(path / WEIGHTS)
    if shared is not None:
        theirs = _shared_weights(path, shared)
        if not theirs.is_file():
            raise CheckpointError(
                f"{path} shares weights with the checkpoint {shared.checkpoint}: put its directory "
                "beside this one"
            )
        others = load_file(theirs)
        weights |= {key: value for key, value in others.items() if shared.holds(key)}
    if fetched is None:
        return weights
    file = path / fetched.file
    if not file.is_file():
        raise CheckpointError(
            f"{path} lacks {fetched.file}, weights that {fetched.source} publishes: "
            f"run `audiodiff fetch {path.resolve().name} --output {path}`"
        )
    others = load_file(file)
    if wrong := [key for key in others if key in weights or not fetched.holds(key)]:
        raise CheckpointError(f"{file} is not what config.json names: it holds {wrong[0]}")
    return weights | others


def read_fetched(path: Path) -> FetchedConfig | None:
    """What a checkpoint directory needs to have fetched.

    Raises:
        CheckpointError: it has no ``config.json``, or one that cannot be read.
    """
    return _section(path, "fetched", FetchedConfig)


def read_shared(path: Path) -> SharedConfig | None:
    """What of a checkpoint directory's weights is another's; raises as ``read_fetched``."""
    return _section(path, "shared", SharedConfig)


def _section(path: Path, name: str, kind: type[C]) -> C | None:
    try:
        section = json.loads((path / "config.json").read_text(encoding="utf-8")).get(name)
        return None if section is None else kind(**section)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: {error}") from error


def _shared_weights(path: Path, shared: SharedConfig) -> Path:
    return path.resolve().parent / shared.checkpoint / WEIGHTS


def baseline_search(max_length: int, **changed: int) -> GenerationConfig:
    """The DCASE 2023 task 6A baseline's search; ``max_length`` counts the start token too."""
    settings: dict[str, Any] = {
        "num_beams": 4,
        "min_length": 5,
        "max_length": max_length,
        "no_repeat_ngram_size": 3,
        "length_penalty": 1.0,
        "early_stopping": True,
    }
    return GenerationConfig(**(settings | changed))  # type: ignore[no-untyped-call]


def save(
    path: Path,
    model: CaptionerModel,
    tokenizer: PreTrainedTokenizerFast,
    generation: GenerationConfig,
) -> None:
    """Write a checkpoint directory, the weights in the model's precision.

    Its card is not written, nor are the weights that users fetch or that are shared.
    """
    path.mkdir(parents=True, exist_ok=True)
    elsewhere = [one for one in (model.config.fetched, model.config.shared) if one is not None]
    own = {
        key: value.contiguous()
        for key, value in model.state_dict().items()
        if not any(one.holds(key) for one in elsewhere)
    }
    model.config.architectures, model.config.dtype = [type(model).__name__], model.dtype
    model.config.save_pretrained(path)
    save_file(own, path / WEIGHTS, metadata={"format": "pt"})
    tokenizer.save_pretrained(path)
    generation.save_pretrained(path)


def save_encoder(path: Path, encoder: nn.Module, config: CaptionerConfig) -> None:
    """Write an encoder alone, and the configuration of the captioner that it is for."""
    path.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(path)
    weights = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
    save_file(weights, path / WEIGHTS, metadata={"format": "pt"})


def load_encoder(encoder: Encoder, path: Path) -> None:
    """Start an encoder from the one in ``path``: one saved alone or a whole checkpoint's.

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


def revision(path: Path) -> str:
    """A short content hash, so that two checkpoints of one name are told apart."""
    digest = hashlib.sha256()
    fetched = read_fetched(path)
    for name in FILES if fetched is None else (*FILES, fetched.file):
        digest.update((path / name).read_bytes())
    if shared := read_shared(path):
        digest.update(_shared_weights(path, shared).read_bytes())
    return digest.hexdigest()[:12]


def read_card(path: Path) -> dict[str, object]:
    """The YAML front matter of a model card; empty if there is none."""
    if not path.is_file():
        return {}
    head, _, rest = path.read_text(encoding="utf-8").partition("---\n")
    if head.strip() or not rest:
        return {}
    fields = yaml.safe_load(rest.partition("\n---")[0])
    return fields if isinstance(fields, dict) else {}
