"""What the routes answer, as the HTTP contract has it; ``Answer.to_json`` fills most of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Alternative(BaseModel):
    """A further caption."""

    caption: str
    score: float = Field(description="Mean log-probability per generated token.")


class Audio(BaseModel):
    """What the file was, before mixing to mono and resampling."""

    duration_s: float
    sample_rate: int
    channels: int
    format: str


class Model(BaseModel):
    """Which model answered."""

    name: str
    revision: str


class Timing(BaseModel):
    """Milliseconds of each stage; the total is from the request's arrival."""

    decode: float
    queue: float
    encode: float
    generate: float
    total: float


class Frame(BaseModel):
    """How much of one encoder frame of the input the difference keeps."""

    start_s: float
    end_s: float
    kept: float | None = Field(description="In [0, 1]; null for a block without a mask.")


class Captioned(BaseModel):
    """The best caption and its alternatives, best first."""

    caption: str
    score: float = Field(description="Mean log-probability per generated token.")
    alternatives: list[Alternative]


class Direction(Captioned):
    """What one clip has and the other has not."""

    timeline: list[Frame]


class CaptionResponse(Captioned):
    """Answer of POST /caption."""

    id: str
    audio: Audio
    model: Model
    timing_ms: Timing


class DifferenceResponse(Direction):
    """Answer of POST /difference; ``reverse`` only when both directions were asked for."""

    id: str
    input: Audio
    reference: Audio
    model: Model
    timing_ms: Timing
    reverse: Direction | None = None


class Health(BaseModel):
    """Answer of the health routes; their failure is a problem document."""

    status: Literal["ok"] = "ok"


class InfoLimits(BaseModel):
    """What the service takes."""

    max_upload_mb: float
    max_audio_seconds: float
    max_queue: int
    max_queue_mb: float
    max_queue_seconds: float
    max_batch_size: int
    max_batch_seconds: float
    request_timeout_s: float


class Info(BaseModel):
    """Answer of GET /info."""

    model: Model
    card: dict[str, object] = Field(description="Front matter of the model card.")
    device: str
    dtype: str
    sample_rate: int = Field(description="Rate that clips are resampled to.")
    frame_s: float = Field(description="Seconds per encoder frame; no clip may be shorter.")
    limits: InfoLimits
    versions: dict[str, str]


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="A stable name of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What went wrong and what to do about it.")
    request_id: str = Field(description="Also in the X-Request-ID header, and in the log.")
