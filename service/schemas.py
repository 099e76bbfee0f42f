"""Requests, responses and the problem document, as the HTTP contract has them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic.config import JsonDict
from starlette.datastructures import UploadFile

from model.types import Description, GenerationOptions, SourceInfo


def _is_file(value: object) -> UploadFile:
    if not isinstance(value, UploadFile):
        raise ValueError("send it as a file: a part with a filename")
    return value


def _not_null(schema: JsonDict) -> None:
    """A form has no null: what is not set is not sent."""
    del schema["default"]
    either = schema.pop("anyOf")
    assert isinstance(either, list)
    assert isinstance(either[0], dict)
    schema.update(either[0])


AudioFile = Annotated[
    UploadFile, PlainValidator(_is_file), WithJsonSchema({"type": "string", "format": "binary"})
]


# -- requests ---------------------------------------------------------------------------------


class Form(BaseModel):
    """Options of both routes; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    num_beams: int | None = Field(
        None,
        ge=1,
        le=8,
        description="Beam width; 1 is greedy. Default: the checkpoint's.",
        json_schema_extra=_not_null,
    )
    num_captions: int = Field(
        1, ge=1, le=8, description="Captions wanted, best first; at most num_beams."
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Length cap of a caption. Default: the checkpoint's.",
        json_schema_extra=_not_null,
    )

    @field_validator("num_captions")
    @classmethod
    def _within_beams(cls, value: int, info: ValidationInfo) -> int:
        beams = info.data.get("num_beams")
        if beams is not None and value > beams:
            raise ValueError(f"must be at most num_beams, which is {beams}")
        return value

    @property
    def options(self) -> GenerationOptions:
        """The options as the model takes them."""
        return GenerationOptions(self.num_beams, self.num_captions, self.max_new_tokens)


class CaptionForm(Form):
    """Body of POST /caption."""

    file: AudioFile = Field(description="One clip: WAV, FLAC, OGG, MP3, M4A, WebM, ...")


class DifferenceForm(Form):
    """Body of POST /difference."""

    input: AudioFile = Field(description="The clip that is described.")
    reference: AudioFile = Field(description="The clip whose sounds are left out.")
    both: bool = Field(False, description="Whether to answer the other direction too.")


# -- responses --------------------------------------------------------------------------------


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

    @staticmethod
    def of(source: SourceInfo) -> Audio:
        """From the pipeline's record of the file."""
        return Audio(
            duration_s=source.duration_s,
            sample_rate=source.sample_rate,
            channels=source.channels,
            format=source.format,
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


def captioned(description: Description) -> Captioned:
    """A plain caption."""
    best, *others = description.captions
    return Captioned(
        caption=best.text,
        score=best.score,
        alternatives=[Alternative(caption=other.text, score=other.score) for other in others],
    )


def direction(description: Description) -> Direction:
    """A caption of a difference, with its timeline."""
    return Direction(
        **dict(captioned(description)),
        timeline=[
            Frame(start_s=segment.start_s, end_s=segment.end_s, kept=segment.kept)
            for segment in description.timeline or ()
        ],
    )


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
