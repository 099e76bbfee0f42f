"""The configuration is frozen, strict and survives its JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from model.config import CaptionerConfig, EncoderConfig, compact

PARTS = ("front_end", "encoder", "difference", "decoder")
CONFIGS = {"paper": CaptionerConfig(), "compact": compact(1234)}


def parts(config: CaptionerConfig) -> dict[str, Any]:
    return {part: getattr(config, part) for part in PARTS}


def test_defaults_are_the_papers() -> None:
    front_end = CaptionerConfig().front_end
    rate = front_end.sample_rate
    assert (front_end.window / rate, front_end.hop / rate) == (0.040, 0.020)
    assert (rate, front_end.n_fft, front_end.mels, front_end.floor) == (44_100, 2048, 64, 2.22e-16)
    assert (front_end.f_min, front_end.f_max) == (0, None)
    assert CaptionerConfig().difference.name == "masking"


def test_compact_keeps_the_windows_and_takes_the_vocabulary() -> None:
    front_end = compact(77).front_end
    assert (front_end.window / 16_000, front_end.hop / 16_000) == (0.040, 0.020)
    assert compact(77).decoder.vocab_size == 77


@pytest.mark.parametrize("part", PARTS)
def test_parts_are_frozen(part: str) -> None:
    settings = getattr(CaptionerConfig(), part)
    field = next(iter(type(settings).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, field, getattr(settings, field))


@pytest.mark.parametrize("part", PARTS)
def test_unknown_keys_of_a_part_raise(part: str) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        CaptionerConfig(**{part: {"surprise": 1}})


def test_unknown_keys_at_the_top_raise() -> None:
    with pytest.raises(TypeError, match="surprise"):
        CaptionerConfig(surprise=1)


@pytest.mark.parametrize(
    "wrong", [{"front_end": {"hop": "many"}}, {"encoder": {"widths": [1, None]}}]
)
def test_wrong_values_raise(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CaptionerConfig(**wrong)


def test_every_block_needs_a_pool() -> None:
    with pytest.raises(ValidationError, match="one entry per block"):
        EncoderConfig(widths=(1, 2), pools=((2, 2),))


@pytest.mark.parametrize("name", CONFIGS)
def test_round_trip_through_json(name: str, tmp_path: Path) -> None:
    config = CONFIGS[name]
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert {part: written[part] for part in PARTS} == json.loads(
        json.dumps({part: value.model_dump() for part, value in parts(config).items()})
    )
    again = CaptionerConfig.from_pretrained(tmp_path, local_files_only=True)
    assert parts(again) == parts(config)
    again.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_text() == (
        tmp_path / "config.json"
    ).read_text()


def test_transformers_does_not_take_the_decoder_for_one_of_its_own() -> None:
    config = CaptionerConfig()
    assert config.get_text_config(decoder=True) is config
