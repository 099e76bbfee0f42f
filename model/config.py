"""One ``config.json`` for the whole road, as frozen and strict sub-configurations.

Defaults are the paper's full size (the DCASE 2023 task 6A baseline's network with the masking
block of Audio Difference Learning, section 4.3.2); :func:`compact` is the bundled checkpoint's.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from transformers import PreTrainedConfig


class _Strict(BaseModel):
    """Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FrontEndConfig(_Strict):
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
    """Added to the mel power before the logarithm."""


class EncoderConfig(_Strict):
    """Which encoder (a key of ``model.encoders.ENCODERS``) and its size."""

    name: str = "cnn14"
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    pools: tuple[tuple[int, int], ...] = ((2, 2),) * 6
    """Average pooling (time, mel) after each block."""
    dropout: float = 0.2
    fixed_frames: int | None = None
    """Log-mel frames that every clip is zero-filled or cut to, as the DCASE 2023 baseline does it.
    None: a clip keeps its length, and padding never changes a result."""

    @model_validator(mode="after")
    def _one_pool_per_block(self) -> EncoderConfig:
        if len(self.widths) != len(self.pools):
            raise ValueError("encoder.widths and encoder.pools need one entry per block")
        return self


class DifferenceConfig(_Strict):
    """Which diff block: a key of ``model.difference.DIFFERENCES``."""

    name: str = "masking"


class DecoderConfig(_Strict):
    """BART's decoder; its encoder keeps only the positions and the layer norm."""

    vocab_size: int = 50_265
    width: int = 768
    layers: int = 6
    heads: int = 12
    ffn: int = 3072
    dropout: float = 0.1
    max_positions: int = 1024
    """Longest caption in tokens, and longest clip in encoder frames."""
    bos_token_id: int = 0
    pad_token_id: int = 1
    eos_token_id: int = 2


class CaptionerConfig(PreTrainedConfig):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """What ``config.json`` holds; ``save_pretrained`` writes it and ``from_pretrained`` reads it.

    Raises:
        pydantic.ValidationError: a sub-configuration has an unknown key or a wrong value.
        TypeError: an unknown key at the top level.
    """

    model_type = "audiodiff-captioner"

    def __init__(
        self,
        front_end: dict[str, Any] | FrontEndConfig | None = None,
        encoder: dict[str, Any] | EncoderConfig | None = None,
        difference: dict[str, Any] | DifferenceConfig | None = None,
        decoder: dict[str, Any] | DecoderConfig | None = None,
        **kwargs: Any,
    ) -> None:
        """Parts left out take their defaults; ``kwargs`` are Transformers' own fields."""
        known = set(PreTrainedConfig.__dataclass_fields__) | {"model_type", "tie_word_embeddings"}
        unknown = sorted(k for k in kwargs if k not in known and not k.startswith("_"))
        if unknown:
            raise TypeError(f"unknown keys in the captioner's configuration: {', '.join(unknown)}")
        kwargs.pop("model_type", None)
        self.front_end = FrontEndConfig.model_validate(front_end or {})
        self.encoder = EncoderConfig.model_validate(encoder or {})
        self.difference = DifferenceConfig.model_validate(difference or {})
        self.decoder = DecoderConfig.model_validate(decoder or {})
        fixed = {"is_encoder_decoder": True, "tie_word_embeddings": True}
        super().__init__(**{**kwargs, **fixed})

    def get_text_config(self, *_: Any, **__: Any) -> CaptionerConfig:
        """This configuration: Transformers would otherwise take ``decoder`` for one of its own."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain: dict[str, Any] = super().to_dict()
        for part in ("front_end", "encoder", "difference", "decoder"):
            plain[part] = getattr(self, part).model_dump(mode="json")
        return plain


def compact(vocab_size: int) -> CaptionerConfig:
    """The bundled checkpoint's size: a quarter of CNN14's widths at 16 kHz, 0.32 s per frame."""
    return CaptionerConfig(
        front_end=FrontEndConfig(
            sample_rate=16_000, window=640, hop=320, n_fft=1024, mels=64, floor=1e-6
        ),
        encoder=EncoderConfig(
            widths=(16, 32, 64, 128, 256, 512),
            pools=((2, 2), (2, 2), (2, 2), (2, 2), (1, 2), (1, 2)),
            dropout=0.0,
        ),
        decoder=DecoderConfig(
            vocab_size=vocab_size, width=256, layers=3, heads=4, ffn=1024, max_positions=1024
        ),
    )
