"""Bytes to a mono waveform: containers named and checked, decoded under limits, resampled."""

from model.audio.decoding import DecodeLimits, decode

__all__ = ["DecodeLimits", "decode"]
