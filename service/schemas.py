"""What the routes answer, as the HTTP contract has it; ``Answer.to_json`` fills most of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from model.types import Operation


class Alternative(BaseModel):
    """A further caption."""

    caption: str
    score: float = Field(description="Mean log-probability per token of the whole sentence.")
    truncated: bool = Field(
        description="Whether the sentence is longer than `max_new_tokens`, and the caption its "
        "beginning, up to a whole word."
    )


class Audio(BaseModel):
    """What the file was, before mixing to mono and resampling."""

    duration_s: float
    sample_rate: int
    channels: int
    format: str
    warnings: list[str] = Field(
        default=[],
        description="What of the file could not be heard, a sentence each; empty as a rule.",
    )


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


class Interval(BaseModel):
    """A stretch of a clip, in seconds."""

    start_s: float
    end_s: float


class Sound(BaseModel):
    """A kind of sound that is heard."""

    label: str = Field(description="AudioSet's name, or one of ours where it has none.")
    score: float = Field(description="In [0, 1]: the probability where it is highest.")
    events: list[Interval] | None = Field(
        None, description="When it is heard; only where `events` was asked for."
    )


class Frame(BaseModel):
    """One encoder frame of the input of a difference."""

    start_s: float
    end_s: float
    kept: float | None = Field(
        description="How much of that frame is new against the reference, in [0, 1]; null where "
        "the model does not say."
    )


class Captioned(Alternative):
    """The best caption, its alternatives and the sounds, best first."""

    alternatives: list[Alternative]
    sounds: list[Sound] = Field(
        description="Up to ten kinds of sound that are heard, or for a difference new, best "
        "first; empty for a checkpoint that knows captions only."
    )


class Change(BaseModel):
    """How a sound is another than in the reference."""

    operation: Operation = Field(description="What makes the input of the reference.")
    sound: str = Field(description="As the caption calls it; `everything` is all that is heard.")
    confidence: float = Field(
        description="In [0, 1]: how likely operation and sound are right, by how sure the sentence "
        "is and by whether that sound is heard."
    )


class Direction(Captioned):
    """What one clip has and the other has not; in style `changes`, how one becomes the other."""

    timeline: list[Frame]
    changes: list[Change] | None = Field(
        None,
        description="What the caption says has changed, in its order; empty if nothing has. Only "
        "in style `changes`.",
    )


class CaptionResponse(Captioned):
    """Answer of POST /caption."""

    id: str
    audio: Audio
    model: Model
    timing_ms: Timing


class DifferenceResponse(Direction):
    """Answer of POST /difference; ``reverse`` only when both directions were asked for."""

    id: str
    shared: list[Sound] = Field(description="The sounds that input and reference both have.")
    input: Audio
    reference: Audio
    model: Model
    timing_ms: Timing
    reverse: Direction | None = None


class HeardSound(BaseModel):
    """A kind of sound in an entry of a timeline."""

    label: str
    score: float


class TimelineEntry(BaseModel):
    """What is heard from then to then."""

    start_s: float
    end_s: float
    caption: str
    sounds: list[HeardSound] = Field(description="Up to ten kinds, best first.")


class TimelineTiming(BaseModel):
    """Milliseconds; the total is from the request's arrival."""

    read: float
    total: float


class TimelineResponse(BaseModel):
    """Answer of POST /timeline."""

    id: str
    entries: list[TimelineEntry] = Field(
        description="In their order, one after the other; where nothing is heard there is none."
    )
    audio: Audio
    model: Model
    timing_ms: TimelineTiming
    summary: str = Field(description="The whole in one sentence.")


class Timeline(BaseModel):
    """What is heard when in one of two recordings."""

    entries: list[TimelineEntry]
    summary: str


class Timelines(BaseModel):
    """Of both recordings."""

    input: Timeline
    reference: Timeline


class Only(BaseModel):
    """Entries with sounds that the other recording has at no time, and of them these alone."""

    input: list[TimelineEntry]
    reference: list[TimelineEntry]


class LongDifferenceResponse(BaseModel):
    """Answer of POST /difference to recordings longer than a clip may be."""

    id: str
    input: Audio
    reference: Audio
    timelines: Timelines
    only: Only
    model: Model
    timing_ms: TimelineTiming


class Health(BaseModel):
    """Answer of the health routes; their failure is a problem document."""

    status: Literal["ok"] = "ok"


class InfoLimits(BaseModel):
    """What the service takes."""

    max_upload_mb: float
    max_audio_seconds: float
    max_timeline_seconds: float
    max_timeline_mb: float
    max_timelines: int
    max_streams: int
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
    styles: dict[str, Model] = Field(
        description="In which `POST /difference` can answer, and which model does."
    )
    limits: InfoLimits
    versions: dict[str, str]


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(description="A stable name of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What went wrong and what to do about it.")
    request_id: str = Field(description="Also in the X-Request-ID header, and in the log.")
