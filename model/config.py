"""One ``config.json`` for the whole road: a frozen and strict configuration per part.

A part's class is named after the part it configures, and its fields are that part's keywords.
Defaults are the paper's full size (the DCASE 2023 task 6A baseline's network with the masking
block of Audio Difference Learning, section 4.3.2); :func:`compact` and :func:`hearing` are those of
the checkpoints trained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from transformers import PreTrainedConfig


class Strict(BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def keywords(self) -> dict[str, Any]:
        """What the part is built with: plain values, without its name."""
        return self.model_dump(exclude={"name"})


class LogMelConfig(Strict):
    """Log-mel settings; lengths in samples at ``sample_rate`` Hz."""

    sample_rate: int = 44_100
    window: int = 1764
    hop: int = 882
    n_fft: int = 2048
    mels: int = 64
    f_min: float = 0.0
    f_max: float | None = None
    """Hz; None is the Nyquist frequency."""
    floor: float = 2.22e-16
    """Added to the mel power before the natural logarithm; in decibels the least of it."""
    scale: Literal["ln", "db"] = "ln"
    pad: Literal["constant", "reflect"] = "constant"
    """What lies before and after a clip."""


class Cnn14Config(Strict):
    """CNN14 of PANNs, at any width."""

    name: Literal["cnn14"] = "cnn14"
    front_end: LogMelConfig = LogMelConfig()
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    pools: tuple[tuple[int, int], ...] = ((2, 2),) * 6
    """Average pooling (time, mel) after each block."""
    dropout: float = 0.2
    fixed_frames: int | None = None
    """Log-mel frames that every clip is zero-filled or cut to, as the DCASE 2023 baseline does it.
    None: a clip keeps its length, and padding never changes a result."""

    @model_validator(mode="after")
    def _one_pool_per_block(self) -> Cnn14Config:
        if len(self.widths) != len(self.pools):
            raise ValueError("encoder.widths and encoder.pools need one entry per block")
        return self


class MobileNetConfig(Strict):
    """MobileNetV1 on log-mels of 16 kHz, started from YAMNet."""

    name: Literal["mobilenet"] = "mobilenet"
    width: int = 384
    context: int = 2
    """Blocks of convolutions over the frames."""
    kernel: int = 7
    """Frames of each."""


class EfficientAtConfig(Strict):
    """EfficientAT's mn04_as at 32 kHz, as published."""

    name: Literal["efficientat"] = "efficientat"


class HtsatConfig(Strict):
    """HTSAT at 32 kHz, as published; ADIFF's is pooled."""

    name: Literal["htsat"] = "htsat"
    width: int = 96
    """Of the first stage; each has twice the last one's."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    pooled: bool = True
    """Whether a clip is one vector, the mean of its frames."""

    @model_validator(mode="after")
    def _heads_per_stage(self) -> HtsatConfig:
        if len(self.depths) != len(self.heads):
            raise ValueError("encoder.depths and encoder.heads need one entry per stage")
        return self


class NormalizedLogMelConfig(Strict):
    """BYOL-A's front end: on what scale log-mels are, which is that of their training set."""

    mean: float = 0.0
    std: float = 1.0


class ByolAConfig(Strict):
    """BYOL-A's network as frames; the defaults are those of 2020."""

    name: Literal["byol_a"] = "byol_a"
    front_end: NormalizedLogMelConfig = NormalizedLogMelConfig()
    blocks: int = Field(default=3, ge=1, le=6)
    hidden: int = 2048
    width: int = 2048
    joined: bool = False
    """Whether the convolutions' features stand beside those of the layers over them: in 2022's."""
    dropout: float = 0.3


class ConvNextConfig(Strict):
    """ConvNeXt-Tiny as published for AudioSet, at any width."""

    name: Literal["convnext"] = "convnext"
    front_end: LogMelConfig = LogMelConfig(
        sample_rate=32_000, window=1024, hop=320, n_fft=1024, mels=224, f_min=50.0, f_max=14_000.0,
        floor=1e-10, scale="db", pad="reflect",
    )  # fmt: skip
    widths: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (3, 3, 9, 3)
    """Blocks of each stage."""

    @model_validator(mode="after")
    def _four_stages(self) -> ConvNextConfig:
        if not len(self.widths) == len(self.depths) == 4:
            raise ValueError("encoder.widths and encoder.depths need four entries each")
        return self


def panns() -> Cnn14Config:
    """The published CNN14: at 32 kHz, and without a last pooling, so that a frame is 0.32 s."""
    front_end = ConvNextConfig().front_end.model_copy(update={"mels": 64})
    return Cnn14Config(front_end=front_end, pools=((2, 2),) * 5 + ((1, 1),))


PartConfig = Annotated[
    Cnn14Config | ConvNextConfig | MobileNetConfig | EfficientAtConfig | HtsatConfig | ByolAConfig,
    Field(discriminator="name"),
]


class EnsembleConfig(Strict):
    """Several encoders side by side, on one grid of frames; the defaults are EDTC's."""

    name: Literal["ensemble"] = "ensemble"
    parts: tuple[PartConfig, ...] = (panns(), HtsatConfig(pooled=False), ConvNextConfig())
    frame_s: float = Field(0.32, gt=0)
    """Seconds per frame: 32 of them are ten seconds."""

    @model_validator(mode="after")
    def _several(self) -> EnsembleConfig:
        if not self.parts:
            raise ValueError("encoder.parts needs an encoder")
        return self


class LinearAdapterConfig(Strict):
    """One linear layer from the encoder's width to the decoder's."""

    name: Literal["linear"] = "linear"


class NoAdapterConfig(Strict):
    """The encoder's frames as they are."""

    name: Literal["none"] = "none"


class ProjectionAdapterConfig(Strict):
    """ADIFF: two linear layers, of which the second adds to the first, at length 1."""

    name: Literal["projection"] = "projection"
    features: int = 1024
    dropout: float = 0.5


class TranslatorConfig(Strict):
    """EDTC, section 2.3."""

    encoder_layers: int = 3
    decoder_layers: int = 2
    kernel: int = 45
    """Frames that its convolutions see; odd."""

    @model_validator(mode="after")
    def _odd(self) -> TranslatorConfig:
        if self.kernel % 2 == 0:
            raise ValueError("adapter.translator.kernel must be odd")
        return self


class EdtcAdapterConfig(Strict):
    """FUSER and TRANSLATOR; without both, one linear layer over all streams."""

    name: Literal["edtc"] = "edtc"
    streams: tuple[int, ...] = (2048, 768, 768)
    """Widths of the encoder's parts."""
    window: int = 32
    """Frames that are adapted together."""
    heads: int = 12
    fuser_layers: int | None = 3
    translator: TranslatorConfig | None = TranslatorConfig()


class MaskingConfig(Strict):
    """Audio Difference Learning, section 4.3.2."""

    name: Literal["masking"] = "masking"


class SubtractionConfig(Strict):
    """Audio Difference Learning, section 4.3.1."""

    name: Literal["subtraction"] = "subtraction"


class ConcentratedConfig(Strict):
    """Takeuchi et al., DCASE 2023: a transformer encoder over the frames of both clips."""

    name: Literal["concentrated"] = "concentrated"
    memory: int = 768
    """Features of what it makes: the decoder's width."""
    layers: int = 1
    heads: int = 4
    ffn: int = 512
    dropout: float = 0.1
    concentrated: bool = True
    """Frames attend to the other clip's alone; False: to both clips'."""
    bands: int = 0
    """In so many bands the level of each frame is heard beside it; 0: an encoder hears levels."""


class PrefixConfig(Strict):
    """ADIFF: of each clip, vectors that stand before the decoder's words."""

    name: Literal["prefix"] = "prefix"
    memory: int = 768
    """Features of each: the decoder's width."""
    tokens: int = 40
    """Vectors of a clip."""
    layers: int = 4
    heads: int = 8
    hears: Literal["clip", "frames"] = "clip"
    """One vector of a clip, as the paper's encoder gives; or all of its frames."""
    bands: int = 0
    """In so many bands the level of each frame is heard beside it; 0: an encoder hears levels."""
    whole: bool = False
    """Behind the levels, level, spectral centre, length and onsets of the whole clip are told."""


class BartDecoderConfig(Strict):
    """BART; without layers its encoder keeps only the positions and the layer norm."""

    name: Literal["bart"] = "bart"
    vocab_size: int = 50_265
    width: int = 768
    layers: int = 6
    encoder_layers: int = 0
    heads: int = 12
    ffn: int = 3072
    dropout: float = 0.1
    max_positions: int = 1024
    """Longest caption in tokens, and longest clip in encoder frames."""
    bos_token_id: int = 0
    pad_token_id: int = 1
    eos_token_id: int = 2


class Gpt2DecoderConfig(Strict):
    """GPT-2 behind a prefix of both clips and a prompt, as in ADIFF."""

    name: Literal["gpt2"] = "gpt2"
    vocab_size: int = 50_257
    width: int = 768
    layers: int = 12
    heads: int = 12
    max_positions: int = 1024
    """Prefix and words."""
    dropout: float = 0.1
    prompt_tokens: int = 40
    """Vectors of the prompt."""
    mapper_layers: int = 4
    mapper_heads: int = 8
    cross_layers: int = 4
    """In which clips and prompt meet before the words; 0: they meet in GPT-2 alone."""
    cross_heads: int = 4
    separator_token_id: int | None = 50_256
    """Stands between the clips; None: nothing does."""
    pad_token_id: int = 50_256
    """Behind the end."""
    eos_token_id: int = 220


class PromptsConfig(Strict):
    """What a decoder is asked, where it answers prompts: the ids of each."""

    words: tuple[int, ...]
    sentence: tuple[int, ...]
    paragraph: tuple[int, ...]
    caption: tuple[int, ...]
    """What the first clip is."""


class EventsConfig(Strict):
    """A head that says which kinds of sound each frame holds, and tells the decoder."""

    labels: tuple[str, ...]
    """What its outputs are called."""
    hidden: int = 512


class FetchedConfig(Strict):
    """Weights that are not this checkpoint's own: others publish them, and the user gets them."""

    file: str = Field(pattern=r"^[\w-]+\.safetensors$")
    """In the checkpoint's directory, once fetched: the weights under the model's own names."""
    keys: tuple[str, ...]
    """What the names of these weights begin with; all others are in the checkpoint."""
    url: str
    size: int
    """Bytes of the published file."""
    sha256: str
    """Of the published file."""
    licence: str
    source: str
    """Who publishes it."""

    def holds(self, key: str) -> bool:
        """Whether the weight of this name is one of them."""
        return key.startswith(self.keys)


class SharedConfig(Strict):
    """Weights that are another checkpoint's, which lies beside this one."""

    checkpoint: str = Field(pattern=r"^[\w-]+$")
    """The name of its directory."""
    keys: tuple[str, ...]
    """What the names of these weights begin with, here and there."""

    def holds(self, key: str) -> bool:
        """Whether the weight of this name is one of them."""
        return key.startswith(self.keys)


# A slot with one system is that class; with a second one it becomes a union, as for diff blocks.
EncoderConfig = Annotated[
    Cnn14Config
    | ConvNextConfig
    | MobileNetConfig
    | EfficientAtConfig
    | HtsatConfig
    | ByolAConfig
    | EnsembleConfig,
    Field(discriminator="name"),
]
AdapterConfig = Annotated[
    LinearAdapterConfig | NoAdapterConfig | EdtcAdapterConfig | ProjectionAdapterConfig,
    Field(discriminator="name"),
]
DifferenceConfig = Annotated[
    MaskingConfig | SubtractionConfig | ConcentratedConfig | PrefixConfig,
    Field(discriminator="name"),
]
DecoderConfig = Annotated[BartDecoderConfig | Gpt2DecoderConfig, Field(discriminator="name")]


class PartsConfig(Strict):
    """One part per slot."""

    encoder: EncoderConfig = Cnn14Config()
    adapter: AdapterConfig = LinearAdapterConfig()
    difference: DifferenceConfig = MaskingConfig()
    events: EventsConfig | None = None
    """Between difference and decoder; None: the decoder hears what the diff block leaves."""
    decoder: DecoderConfig = BartDecoderConfig()


class SectionsConfig(PartsConfig):
    """All that ``config.json`` says of ours: parts, prompts, and whose weights are elsewhere."""

    prompts: PromptsConfig | None = None
    """None: the decoder takes none."""
    fetched: FetchedConfig | None = None
    shared: SharedConfig | None = None
    """Neither: the checkpoint is whole."""
    nouns: dict[str, tuple[str, ...]] | None = None
    """Of one that tells of changes, or explains: what it calls a sound, without article -> the
    events that are heard of it. What is explained is held against them."""


class CaptionerConfig(PreTrainedConfig):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """What ``config.json`` holds; ``save_pretrained`` writes it and ``from_pretrained`` reads it.

    Raises:
        pydantic.ValidationError: a part is unknown, has an unknown key or a wrong value.
        TypeError: an unknown key at the top level.
    """

    model_type = "audiodiff-captioner"
    encoder: EncoderConfig
    adapter: AdapterConfig
    difference: DifferenceConfig
    events: EventsConfig | None
    decoder: DecoderConfig
    prompts: PromptsConfig | None
    fetched: FetchedConfig | None
    shared: SharedConfig | None
    nouns: dict[str, tuple[str, ...]] | None

    def __init__(self, **kwargs: Any) -> None:
        """Parts as configurations or as plain values; those left out take their defaults.

        The other ``kwargs`` are Transformers' own fields.
        """
        given = {name: kwargs.pop(name) for name in SectionsConfig.model_fields if name in kwargs}
        known = set(PreTrainedConfig.__dataclass_fields__) | {"model_type", "tie_word_embeddings"}
        unknown = sorted(k for k in kwargs if k not in known and not k.startswith("_"))
        if unknown:
            raise TypeError(f"unknown keys in the captioner's configuration: {', '.join(unknown)}")
        kwargs.pop("model_type", None)
        for name, section in SectionsConfig(**given):
            setattr(self, name, section)
        fixed = {"is_encoder_decoder": True, "tie_word_embeddings": True}
        super().__init__(**{**kwargs, **fixed})

    def get_text_config(self, *_: Any, **__: Any) -> CaptionerConfig:
        """This configuration: Transformers would otherwise take ``decoder`` for one of its own."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain: dict[str, Any] = super().to_dict()
        sections = {name: getattr(self, name) for name in SectionsConfig.model_fields}
        return plain | SectionsConfig(**sections).model_dump(mode="json")


def compact(vocab_size: int) -> CaptionerConfig:
    """A small one: a quarter of CNN14's widths at 16 kHz, 0.32 s per frame."""
    return CaptionerConfig(
        encoder=Cnn14Config(
            front_end=LogMelConfig(
                sample_rate=16_000, window=640, hop=320, n_fft=1024, mels=64, floor=1e-6
            ),
            widths=(16, 32, 64, 128, 256, 512),
            pools=((2, 2), (2, 2), (2, 2), (2, 2), (1, 2), (1, 2)),
            dropout=0.0,
        ),
        decoder=BartDecoderConfig(
            vocab_size=vocab_size, width=256, layers=3, heads=4, ffn=1024, max_positions=1024
        ),
    )


def hearing(
    vocab_size: int,
    labels: Sequence[str],
    encoder: MobileNetConfig | EfficientAtConfig | None = None,
) -> CaptionerConfig:
    """An encoder of pretrained hearing (None: ``mobilenet``), and events called ``labels``."""
    return CaptionerConfig(
        encoder=encoder or MobileNetConfig(),
        adapter=NoAdapterConfig(),
        events=EventsConfig(labels=tuple(labels)),
        decoder=BartDecoderConfig(
            vocab_size=vocab_size, width=256, layers=3, heads=4, ffn=1024, max_positions=1024
        ),
    )
