"""Bytes to a mono waveform: containers named and checked, decoded under limits, resampled."""

from model.audio.decoding import Decode, DecodeLimits, decode

__all__ = ["Decode", "DecodeLimits", "decode"]
