"""The configuration is frozen, strict and survives its JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from model import config as configs
from model.adapters import ADAPTERS
from model.config import (
    BartDecoderConfig,
    CaptionerConfig,
    Cnn14Config,
    EdtcAdapterConfig,
    EfficientAtConfig,
    EnsembleConfig,
    EventsConfig,
    Gpt2DecoderConfig,
    HtsatConfig,
    MobileNetConfig,
    NoAdapterConfig,
    PartsConfig,
    PrefixConfig,
    ProjectionAdapterConfig,
    PromptsConfig,
    SubtractionConfig,
    compact,
)
from model.decoders import DECODERS
from model.difference import DIFFERENCES
from model.encoders import ENCODERS

OPTIONAL = "events"
"""A part that may be left out, and has no name: there is one kind of it."""
SLOTS = tuple(slot for slot in PartsConfig.model_fields if slot != OPTIONAL)
NAMES = {"encoder": "cnn14", "adapter": "linear", "difference": "masking", "decoder": "bart"}
CONFIGS = {
    "paper": CaptionerConfig(),
    "compact": compact(1234),
    "subtraction": CaptionerConfig(difference=SubtractionConfig()),
    "mobilenet": CaptionerConfig(
        encoder=MobileNetConfig(), adapter=NoAdapterConfig(), events=EventsConfig(labels=("Dog",))
    ),
    "edtc": CaptionerConfig(
        encoder=EnsembleConfig(),
        adapter=EdtcAdapterConfig(),
        decoder=BartDecoderConfig(encoder_layers=6),
    ),
    "efficientat": CaptionerConfig(encoder=EfficientAtConfig(), adapter=NoAdapterConfig()),
    "adiff": CaptionerConfig(
        encoder=HtsatConfig(),
        adapter=ProjectionAdapterConfig(),
        difference=PrefixConfig(),
        decoder=Gpt2DecoderConfig(),
        prompts=PromptsConfig(words=(1,), sentence=(2,), paragraph=(3,), caption=(4,)),
    ),
}


def parts(config: CaptionerConfig) -> dict[str, Any]:
    return {slot: getattr(config, slot) for slot in SLOTS}


def test_defaults_are_the_papers() -> None:
    assert {slot: part.name for slot, part in parts(CaptionerConfig()).items()} == NAMES
    front_end = CaptionerConfig().encoder.front_end
    rate = front_end.sample_rate
    assert (front_end.window / rate, front_end.hop / rate) == (0.040, 0.020)
    assert (rate, front_end.n_fft, front_end.mels, front_end.floor) == (44_100, 2048, 64, 2.22e-16)
    assert (front_end.f_min, front_end.f_max) == (0, None)


def test_compact_keeps_the_windows_and_takes_the_vocabulary() -> None:
    front_end = compact(77).encoder.front_end
    assert (front_end.window / 16_000, front_end.hop / 16_000) == (0.040, 0.020)
    assert compact(77).decoder.vocab_size == 77


@pytest.mark.parametrize(
    ("slot", "table"),
    [
        (configs.EncoderConfig, ENCODERS),
        (configs.AdapterConfig, ADAPTERS),
        (configs.DifferenceConfig, DIFFERENCES),
        (configs.DecoderConfig, DECODERS),
    ],
)
def test_every_part_of_a_table_has_its_configuration(slot: Any, table: dict[str, Any]) -> None:
    """A slot is a class, or ``Annotated`` of a union of them."""
    members = get_args(get_args(slot)[0]) if get_args(slot) else (slot,)
    assert {member().name for member in members} == set(table)
    for member in members:
        assert table[member().name].__name__ == member.__name__.removesuffix("Config")


@pytest.mark.parametrize("slot", SLOTS)
def test_parts_are_frozen(slot: str) -> None:
    settings = getattr(CaptionerConfig(), slot)
    with pytest.raises(ValidationError, match="frozen"):
        settings.name = settings.name


@pytest.mark.parametrize("slot", SLOTS)
def test_unknown_keys_of_a_part_raise(slot: str) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        CaptionerConfig(**{slot: {"name": NAMES[slot], "surprise": 1}})


def test_unknown_keys_of_a_front_end_raise() -> None:
    with pytest.raises(ValidationError, match="surprise"):
        CaptionerConfig(encoder={"front_end": {"surprise": 1}})


@pytest.mark.parametrize("slot", SLOTS)
def test_unknown_parts_are_named(slot: str) -> None:
    with pytest.raises(ValidationError, match=rf"(?s){slot}.*'{NAMES[slot]}'.*'nobody'"):
        CaptionerConfig(**{slot: {"name": "nobody"}})


def test_events_are_frozen_and_strict() -> None:
    events = EventsConfig(labels=("Dog", "Rain"))
    with pytest.raises(ValidationError, match="frozen"):
        events.hidden = 1
    with pytest.raises(ValidationError, match="surprise"):
        CaptionerConfig(events={"labels": ["Dog"], "surprise": 1})
    assert CaptionerConfig().events is None


@pytest.mark.parametrize("key", ["surprise", "front_end"])
def test_unknown_keys_at_the_top_raise(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        CaptionerConfig(**{key: {}})


@pytest.mark.parametrize(
    "wrong", [{"encoder": {"front_end": {"hop": "many"}}}, {"encoder": {"widths": [1, None]}}]
)
def test_wrong_values_raise(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CaptionerConfig(**wrong)


def test_every_stage_needs_its_heads() -> None:
    with pytest.raises(ValidationError, match="one entry per stage"):
        HtsatConfig(depths=(2, 2), heads=(1, 2, 3))


def test_every_block_needs_a_pool() -> None:
    with pytest.raises(ValidationError, match="one entry per block"):
        Cnn14Config(widths=(1, 2), pools=((2, 2),))


@pytest.mark.parametrize("name", CONFIGS)
def test_round_trip_through_json(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert {slot: written[slot] for slot in SLOTS} == json.loads(
        json.dumps({slot: part.model_dump() for slot, part in parts(config).items()})
    )
    assert (written[OPTIONAL] is None) == (config.events is None)
    again = CaptionerConfig.from_pretrained(tmp_path, local_files_only=True)
    assert parts(again) == parts(config)
    assert (again.events, again.prompts) == (config.events, config.prompts)
    again.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_text() == (
        tmp_path / "config.json"
    ).read_text()


def test_transformers_does_not_take_the_decoder_for_one_of_its_own() -> None:
    config = CaptionerConfig()
    assert config.get_text_config(decoder=True) is config
