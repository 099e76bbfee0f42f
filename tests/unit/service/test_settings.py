from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.settings import EngineSettings
from service.settings import Settings, misspelt

# The HTTP contract's list, with its defaults.
DEFAULTS = {
    "changes": None,
    "device": "auto",
    "dtype": "auto",
    "runtime": "auto",  # beyond the contract
    "compile_cache": None,  # beyond the contract
    "host": "127.0.0.1",
    "port": 8000,
    "root_path": "",  # beyond the contract
    "max_batch_size": 32,
    "max_batch_seconds": 320,
    "max_wait_ms": 0,
    "max_queue": 256,
    "max_queue_mb": 1024,
    "max_queue_seconds": 3600,
    "max_upload_mb": 25,
    "max_audio_seconds": 60,
    "max_timeline_seconds": 14_400,
    "max_timeline_mb": 4096,  # beyond the contract
    "max_timelines": 2,  # beyond the contract
    "request_timeout_s": 30,
    "decode_workers": os.cpu_count(),
    "cache_mb": 256,
    "max_streams": 16,
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
        ("runtime", "onnx"),
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
        ("root_path", "audio"),
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


@pytest.mark.parametrize(("given", "meant"), [("/audio/", "/audio"), ("/a/b", "/a/b"), ("/", "")])
def test_a_path_prefix_ends_before_the_slash(given: str, meant: str) -> None:
    assert Settings(root_path=given).root_path == meant


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://a.example/", "https://a.example"),
        ("HTTPS://A.Example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:8080/", "http://a.example:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("*", "*"),
        ("null", "null"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, sent: str) -> None:
    assert Settings(cors_origins=given).cors_origins == (sent,)


@pytest.mark.parametrize(
    "origin",
    [
        "a.example",
        "//a.example",
        "https://",
        "https://a.example/app",
        "https://a.example?x",
        "https://me@a.example",
        "https://*.example",
        "https://a.example:port",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match=r"write it as https://example\.org"):
        Settings(cors_origins=f"https://b.example,{origin}")


def test_variables_that_are_no_settings_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_QUEUE", "MAX_QUEU", "API_KEY", "SURPRISE"):
        monkeypatch.setenv(f"AUDIODIFF_{name}", "1")
    monkeypatch.setenv("audiodiff_port", "1")  # pydantic takes any case
    ignored = "is not a setting and is ignored"
    key = f"AUDIODIFF_API_KEY {ignored}; did you mean AUDIODIFF_API_KEYS?"
    rest = [
        f"AUDIODIFF_MAX_QUEU {ignored}; did you mean AUDIODIFF_MAX_QUEUE?",
        f"AUDIODIFF_SURPRISE {ignored}",
    ]
    assert misspelt() == [key, *rest]
    assert misspelt(also=["AUDIODIFF_API_KEY"]) == rest
