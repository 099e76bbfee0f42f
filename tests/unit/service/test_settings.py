from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.settings import EngineSettings
from service.settings import Settings

# The HTTP contract's list, with its defaults.
DEFAULTS = {
    "device": "auto",
    "dtype": "auto",
    "host": "127.0.0.1",
    "port": 8000,
    "max_batch_size": 32,
    "max_batch_seconds": 320,
    "max_wait_ms": 0,
    "max_queue": 256,
    "max_queue_mb": 1024,  # beyond the contract
    "max_queue_seconds": 3600,
    "max_upload_mb": 25,
    "max_audio_seconds": 60,
    "request_timeout_s": 30,
    "decode_workers": os.cpu_count(),
    "cache_mb": 256,
    "api_keys": (),
    "cors_origins": (),
    "log_format": "json",
    "log_level": "info",
    "drain_timeout_s": 30,
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AUDIODIFF_"):
            monkeypatch.delenv(name)


def test_every_setting_of_the_contract_is_there_with_its_default() -> None:
    assert set(Settings.model_fields) == {"model", *DEFAULTS}
    values = Settings().model_dump()
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIODIFF_MODEL", "/models/mine")
    monkeypatch.setenv("AUDIODIFF_PORT", "9000")
    monkeypatch.setenv("AUDIODIFF_API_KEYS", "one, two,,")
    monkeypatch.setenv("AUDIODIFF_CORS_ORIGINS", "https://a.example,https://b.example")
    monkeypatch.setenv("AUDIODIFF_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("AUDIODIFF_HOST", "")
    settings = Settings()
    assert settings.model == Path("/models/mine")
    assert settings.port == 9000
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.log_level == "warning"
    assert settings.host == "127.0.0.1", "an empty variable is not set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "tpu"),
        ("dtype", "int8"),
        ("port", 70000),
        ("max_batch_size", 0),
        ("max_batch_seconds", 0),
        ("max_wait_ms", -1),
        ("max_queue", 0),
        ("max_upload_mb", 0),
        ("request_timeout_s", 0),
        ("decode_workers", 0),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("no_such_setting", 1),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_keys_do_not_leak_into_logs() -> None:
    assert "hush" not in repr(Settings(api_keys="hush"))


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


def test_upload_limit_in_bytes() -> None:
    assert Settings(max_upload_mb=0.5).max_upload_bytes == 512 * 1024


def test_the_engine_gets_its_own() -> None:
    assert Settings().engine == EngineSettings()
    assert Settings(max_queue=3, cache_mb=1.5).engine == EngineSettings(max_queue=3, cache_mb=1.5)
