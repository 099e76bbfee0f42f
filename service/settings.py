"""Every setting of the service, read from the environment here and nowhere else."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from engine.settings import MIB, EngineSettings, cores

BUNDLED = Path(__file__).resolve().parents[1] / "checkpoints" / "default"
"""The checkpoint that comes with the source tree."""
_CHANGES = BUNDLED.with_name("changes")
"""The one beside it, which tells of changes."""
_PREFIX = "AUDIODIFF_"
_USUAL_PORTS = {"http": 80, "https": 443}


class Settings(BaseSettings):
    """One field per variable ``AUDIODIFF_<FIELD>``; an empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    model: Path = Field(BUNDLED, description="Directory of the checkpoint to serve.")
    changes: Path | None = Field(
        None,
        description="Directory of the checkpoint for differences in style changes, which hears as "
        "the served one does; beside the bundled checkpoint there is one.",
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="Where the model runs: auto, cpu, cuda or cuda:N.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format of the model's weights and activations."
    )
    runtime: Literal["auto", "torch", "openvino", "graphs"] = Field(
        "auto",
        description="What computes: torch, OpenVINO (a CPU, float32), or torch with CUDA graphs "
        "(a GPU); auto takes the fastest.",
    )
    compile_cache: Path | None = Field(
        None, description="Directory that keeps what OpenVINO compiled, for a faster next start."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    root_path: str = Field(
        "", description="Path prefix that a proxy takes off before it asks the service, as /audio."
    )
    max_batch_size: int = Field(
        EngineSettings.max_batch_size,
        ge=1,
        description="Most clips in one batch; a request for a difference counts as two "
        "and is never split.",
    )
    max_batch_seconds: float = Field(
        EngineSettings.max_batch_seconds,
        gt=0,
        description="Most seconds of audio in one batch, padding included.",
    )
    max_wait_ms: float = Field(
        EngineSettings.max_wait_ms,
        ge=0,
        description="How long a free model waits for company before it takes a batch; "
        "0 takes what there is.",
    )
    max_queue: int = Field(
        EngineSettings.max_queue,
        ge=1,
        description="Most requests accepted and not yet answered; above it, 429.",
    )
    max_queue_seconds: float = Field(
        EngineSettings.max_queue_seconds,
        gt=0,
        description="Most seconds of audio waiting for the model; above it, 429.",
    )
    max_queue_mb: float = Field(
        EngineSettings.max_queue_mb,
        gt=0,
        description="Most MiB of request bodies accepted and not yet answered; 429.",
    )
    max_upload_mb: float = Field(
        25, gt=0, description="Largest request body in MiB, cut off while it streams in."
    )
    max_audio_seconds: float = Field(
        EngineSettings.max_audio_seconds, gt=0, description="Longest clip in seconds."
    )
    max_timeline_seconds: float = Field(
        EngineSettings.max_timeline_seconds,
        gt=0,
        description="Longest recording of a timeline, or of a difference by timelines, in seconds.",
    )
    max_timeline_mb: float = Field(
        4096,
        gt=0,
        description="Largest body in MiB with long recordings, which lie on disk, in TMPDIR.",
    )
    max_timelines: int = Field(
        EngineSettings.max_timelines,
        ge=1,
        description="Most timelines worked on at a time, each decoded by a process of its own; "
        "above it, 429.",
    )
    request_timeout_s: float = Field(
        EngineSettings.request_timeout_s,
        gt=0,
        description="A request that the model has not begun within this many seconds "
        "is given up with 504.",
    )
    decode_workers: int = Field(
        default_factory=cores,
        ge=1,
        description="Processes that decode and resample; one per core unless set.",
    )
    cache_mb: float = Field(
        EngineSettings.cache_mb,
        ge=0,
        description="MiB for encoder outputs of clips heard before, on the model's device; "
        "0 keeps none.",
    )
    max_streams: int = Field(
        EngineSettings.max_streams,
        ge=0,
        description="Most streams listened to at a time; 0 takes none.",
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Comma list of keys, one of which a request must bring; empty is open."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma list of origins whose web pages may call the service; * is any."
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="Logs as one JSON object per line, or as text for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    drain_timeout_s: float = Field(
        EngineSettings.drain_timeout_s,
        gt=0,
        description="On SIGTERM, how long accepted requests may still take.",
    )

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in map(str.strip, value.split(",")) if part)
        return value

    @field_validator("root_path")
    @classmethod
    def _as_prefix(cls, value: str) -> str:
        """Without the slash at the end, which the paths begin with."""
        if value and not value.startswith("/"):
            raise ValueError(f"must begin with a slash: /{value}")
        return value.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_write_them(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, value))

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def changes_dir(self) -> Path | None:
        """Where the checkpoint for style changes lies, if there is one."""
        if self.changes is None and self.model == BUNDLED and _CHANGES.is_dir():
            return _CHANGES
        return self.changes

    @property
    def max_upload_bytes(self) -> int:
        """Largest request body in bytes."""
        return int(self.max_upload_mb * MIB)

    @property
    def max_timeline_bytes(self) -> int:
        """The same of a request for a timeline."""
        return int(self.max_timeline_mb * MIB)

    @property
    def engine(self) -> EngineSettings:
        """Those of the engine."""
        return EngineSettings(
            **{one.name: getattr(self, one.name) for one in fields(EngineSettings)}
        )


def misspelt(also: Collection[str] = ()) -> list[str]:
    """What to say of variables that look like settings and are none, ``also`` excepted."""
    known = [f"{_PREFIX}{name}".upper() for name in Settings.model_fields]
    said = []
    for variable in sorted(os.environ):
        if variable.upper().startswith(_PREFIX) and variable.upper() not in {*known, *also}:
            near = difflib.get_close_matches(variable.upper(), known, 1, 0.8)
            hint = f"; did you mean {near[0]}?" if near else ""
            said.append(f"{variable} is not a setting and is ignored{hint}")
    return said


def _origin(text: str) -> str:
    """As browsers write it: no path, small letters, no port where it is the usual one.

    Raises ValueError for what no browser sends.
    """
    if text in ("*", "null"):
        return text
    url = urlsplit(text.lower())
    try:
        host = (url.hostname or "").encode("idna").decode()
        port = url.port
    except ValueError:  # UnicodeError is one
        host = ""
    beyond = (url.path.strip("/"), url.query, url.fragment, url.username)
    if not (url.scheme and host) or any(beyond) or "*" in host:
        raise ValueError(
            f"{text} is no origin: write it as https://example.org or http://host:8080"
        )
    host = f"[{host}]" if ":" in host else host
    usual = port in (None, _USUAL_PORTS.get(url.scheme))
    return f"{url.scheme}://{host}" + ("" if usual else f":{port}")
