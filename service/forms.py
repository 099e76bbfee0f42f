"""What is sent to the two routes that compute, as the HTTP contract has it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

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

from model.types import MAX_BEAMS, MAX_NEW_TOKENS, Detail, GenerationOptions, Style


def _is_file(value: object) -> UploadFile:
    if not isinstance(value, UploadFile):
        raise ValueError("send it as a file, in the body")
    return value


def _not_null(schema: JsonDict) -> None:
    """A form has no null: what is not set is not sent; ``Form.schema_of`` knows the default."""
    del schema["default"]
    either = schema.pop("anyOf")
    assert isinstance(either, list)
    assert isinstance(either[0], dict)
    schema.update(either[0])


def _or_empty(schema: JsonDict) -> None:
    """Swagger's form sends a value of each field: what is not set is empty."""
    _not_null(schema)
    assert isinstance(schema["enum"], list)
    schema["enum"] = ["", *schema["enum"]]
    schema["default"] = ""


AudioFile = Annotated[
    UploadFile, PlainValidator(_is_file), WithJsonSchema({"type": "string", "format": "binary"})
]


class Form(BaseModel):
    """Options of every route; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    num_beams: int | None = Field(
        None,
        ge=1,
        le=MAX_BEAMS,
        description="Beam width; 1 is greedy. Default: the checkpoint's.",
        json_schema_extra=_not_null,
    )
    max_new_tokens: int | None = Field(
        None,
        ge=1,
        le=MAX_NEW_TOKENS,
        description="Most tokens of a caption; a longer sentence is cut, at a whole word. "
        "Default: the checkpoint's.",
        json_schema_extra=_not_null,
    )

    @classmethod
    def texts(cls) -> set[str]:
        """Names of the options: of all fields but the files."""
        return {name for name, field in cls.model_fields.items() if field.annotation != UploadFile}

    @classmethod
    def schema_of(cls, defaults: GenerationOptions) -> dict[str, Any]:
        """The JSON schema, with the defaults of the checkpoint that is served."""
        schema = cls.model_json_schema()
        for name in ("num_beams", "max_new_tokens"):
            schema["properties"][name]["default"] = getattr(defaults, name)
        return schema

    @property
    def options(self) -> GenerationOptions:
        """The options as the model takes them."""
        return GenerationOptions(self.num_beams, 1, self.max_new_tokens)


class ClipForm(Form):
    """Options of the two routes that take clips."""

    num_captions: int = Field(
        1, ge=1, le=MAX_BEAMS, description="Captions wanted, best first; at most num_beams."
    )
    events: bool = Field(False, description="Whether to say when each sound is heard.")

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


class CaptionForm(ClipForm):
    """Body of POST /caption."""

    file: AudioFile = Field(description="One clip: WAV, FLAC, OGG, MP3, M4A, WebM, ...")


class DifferenceForm(ClipForm):
    """Body of POST /difference."""

    input: AudioFile = Field(description="The clip that is described.")
    reference: AudioFile = Field(description="The clip whose sounds are left out.")
    both: bool = Field(False, description="Whether to answer the other direction too.")
    style: Style = Field(
        "rest",
        description="`rest`: what the input has and the reference has not. `changes`: what has "
        "changed from the reference to the input (added, removed, louder, quieter, different, "
        "earlier, later), with `changes` in the answer. `explain`: what each of the two has and "
        "how they compare, where the input is the first. The last two are for clips only, not long "
        "recordings, which are refused before they are read if this stands in the query string.",
    )
    detail: Detail | None = Field(
        None,
        description="How much style `explain` tells: a few `words`, a `sentence` (the default) or "
        "a `paragraph`.",
        json_schema_extra=_or_empty,
    )

    @property
    def options(self) -> GenerationOptions:
        """The options as the model takes them."""
        return replace(super().options, style=self.style, detail=self.detail)


class TimelineForm(Form):
    """Body of POST /timeline."""

    file: AudioFile = Field(description="One recording, of up to hours: WAV, FLAC, OGG, MP3, ...")
    sentence_case: bool = Field(
        False, description="Of subtitles: whether they begin with a capital letter."
    )
