"""ADIFF, as its authors released it (Zenodo record 14706090) -> ours.

Source: ``adiff_base.ckpt``, also called ``adiff_base.pth``: a flat state dict.
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from model import checkpoint
from model.captioner import CaptionerModel
from model.checkpoint import baseline_search
from model.config import (
    CaptionerConfig,
    Gpt2DecoderConfig,
    HtsatConfig,
    PrefixConfig,
    ProjectionAdapterConfig,
    PromptsConfig,
)
from model.errors import CheckpointError
from model.published import htsat, tokenizers
from model.published.state_dict import fill, read_state_dict

TOKENIZER = "openai-community/gpt2"
FILES = "vocab.json, merges.txt, tokenizer.json, tokenizer_config.json"
PROMPTS = {
    "words": "explain the difference in few words",
    "sentence": "explain the difference in a sentence",
    "paragraph": "explain the difference in detail",
    "caption": "caption the first audio",
}
ASKED = 40
"""Tokens of a prompt; "!", GPT-2's first, fills it up."""
LONGEST = 300
"""Tokens of an answer."""
_WRAPPED = "module."
"""Before each name, if the file was written in parallel training."""
_ENCODER, _DECODER = "audio_encoder.", "caption_decoder."
_HTSAT = f"{_ENCODER}base.htsat."
_LAYER = {
    "norm1": "norm1",
    "attn.to_queries": "query",
    "attn.to_keys_values": "key_value",
    "attn.project": "project",
    "norm2": "norm2",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}
_MAPPERS = {
    "audio_project1": "difference.input",
    "audio_project2": "difference.reference",
    "text_project": "decoder.prompt",
}


def published(prompts: PromptsConfig | None = None) -> CaptionerConfig:
    """The released system; our defaults are its sizes."""
    return CaptionerConfig(
        encoder=HtsatConfig(),
        adapter=ProjectionAdapterConfig(),
        difference=PrefixConfig(),
        decoder=Gpt2DecoderConfig(),
        prompts=prompts,
    )


def layout(config: CaptionerConfig) -> dict[str, str]:
    """Their modules -> ours."""
    encoder, difference, decoder = config.encoder, config.difference, config.decoder
    assert isinstance(encoder, HtsatConfig)
    assert isinstance(difference, PrefixConfig)
    assert isinstance(decoder, Gpt2DecoderConfig)
    found = htsat.layout(encoder, _HTSAT, "encoder.")
    for their, our in {"linear1": "linear1", "linear2": "linear2", "layer_norm": "norm"}.items():
        found[f"{_ENCODER}projection.{their}"] = f"adapter.{our}"
    layers = {
        "difference.input": difference.layers,
        "difference.reference": difference.layers,
        "decoder.prompt": decoder.mapper_layers,
    }
    for their, our in _MAPPERS.items():
        found[f"{_DECODER}{their}.prefix_const"] = f"{our}.queries"
        for number in range(layers[our]):
            found |= _layer(
                f"{_DECODER}{their}.transformer.layers.{number}", f"{our}.layers.{number}"
            )
        if their != "text_project":
            found[f"{_DECODER}{their}.linear"] = f"{our}.expand"
    for number in range(decoder.cross_layers):
        found |= _layer(f"{_DECODER}cross_project.layers.{number}", f"decoder.cross.{number}")
    found[f"{_DECODER}gpt"] = "decoder.gpt"
    return found


def import_captioner(source: Path, target: Path, tokenizer: Path | None) -> None:
    """Write the released file as a checkpoint directory, searching as its authors do: greedily.

    ``tokenizer`` is a folder with GPT-2's files; None downloads them.

    Raises:
        CheckpointError: ``source`` or the tokenizer is not the published one.
    """
    words = load_tokenizer(tokenizer)
    asked = {name: _asked(words, text) for name, text in PROMPTS.items()}
    config = published(PromptsConfig(**asked))
    convert(source, target, words, config)


def convert(
    source: Path, target: Path, tokenizer: PreTrainedTokenizerFast, config: CaptionerConfig
) -> None:
    """As ``import_captioner``, of any sizes."""
    state = {key.removeprefix(_WRAPPED): value for key, value in read_state_dict(source).items()}
    model = CaptionerModel(config)
    gpt = f"{_DECODER}gpt"
    masks = [f"{gpt}.transformer.h.{n}.attn" for n in range(config.decoder.layers)]
    computed = {f"{each}.{name}" for each in masks for name in ("bias", "masked_bias")}
    dropped = [*htsat.dropped(state, _HTSAT), *(computed & state.keys())]
    tied = {f"{gpt}.lm_head.weight": f"{gpt}.transformer.wte.weight"}
    fill(model, state, layout(config), dropped, tied)
    search = baseline_search(
        max_length=LONGEST, num_beams=1, early_stopping=False, min_length=0, no_repeat_ngram_size=0
    )
    checkpoint.save(target, model, tokenizer, search)


def load_tokenizer(path: Path | None) -> PreTrainedTokenizerFast:
    """Read GPT-2's tokenizer from a folder, or download it.

    Raises:
        CheckpointError: it cannot be had, or is another one.
    """
    tokenizer, advice = tokenizers.load_tokenizer(path, TOKENIZER, FILES)
    config = Gpt2DecoderConfig()
    ends = tokenizer(" <|endoftext|>", add_special_tokens=False)["input_ids"]
    if len(tokenizer) != config.vocab_size or ends != [config.eos_token_id, config.pad_token_id]:
        raise CheckpointError(f"the tokenizer from {path or TOKENIZER} is not GPT-2's: {advice}")
    return tokenizer


def _asked(tokenizer: PreTrainedTokenizerFast, prompt: str) -> tuple[int, ...]:
    ids = tokenizer(f"{prompt} <|endoftext|>", add_special_tokens=False)["input_ids"]
    return (*ids, *[0] * (ASKED - len(ids)))


def _layer(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{their}": f"{ours}.{our}" for their, our in _LAYER.items()}
